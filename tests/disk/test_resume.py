"""Resume is proved, not assumed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, journal
from luci_dl.disk.journal import Header
from luci_dl.disk.journal_writer import Journal
from luci_dl.disk.layout import staging_for
from luci_dl.errors import StorageError
from luci_dl.model import Digest
from tests.disk.hands import (
    KIB,
    NAME,
    artifact_of,
    digest_of,
    gguf,
    kill_after,
    opened,
    part_at,
    pour,
    remote_of,
    staged,
    suspended,
    sync_every,
    unproved,
)

DATA = gguf(96 * KIB)
STEP = 16 * KIB
KEPT = 80 * KIB


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with a part that a killed process left, with a checkpoint every now and then."""
    sync_every(monkeypatch, STEP, ahead=32 * KIB)
    kill_after(tmp_path, DATA, KEPT)
    return tmp_path


def complete(folder: Path) -> int:
    """Fetch the rest and verify. Returns: the bytes that were fetched."""
    part = part_at(folder, artifact_of(DATA))
    opened(part)
    pour(part, DATA)
    assert part.verify(CancelToken()) == digest_of(DATA)
    assert part.staging.part.read_bytes() == DATA
    part.remove()
    return part.fetched


def proved(folder: Path, upto: int) -> int:
    """The last checkpoint at or before that offset."""
    log = journal.read(staging_for(folder, NAME).journal)
    assert log
    return max((at for at, _ in log.checkpoints if at <= upto), default=0)


def change_part(folder: Path, at: int, data: bytes) -> None:
    with staging_for(folder, NAME).part.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_verified_bytes_are_not_fetched_again(models: Path) -> None:
    """Only the rest is fetched."""
    assert complete(models) == len(DATA) - KEPT


@pytest.mark.parametrize("at", [0, STEP - 1, STEP, 3 * STEP + 7, KEPT - 1])
@pytest.mark.parametrize("length", [1, 4096])
def test_flipped_bytes_cost_what_comes_after_the_last_good_checkpoint(models: Path, at: int, length: int) -> None:
    """A byte, or a page that a power loss zeroed."""
    there = DATA[at : at + length]
    change_part(models, at, bytes([there[0] ^ 0xFF]) if length == 1 else bytes(length))
    good = proved(models, at)
    assert complete(models) == len(DATA) - good


@pytest.mark.parametrize("size", [0, 1, STEP, 3 * STEP - 1, KEPT])
def test_a_part_that_was_cut_costs_what_is_missing(models: Path, size: int) -> None:
    """And it gets its full length again."""
    with staging_for(models, NAME).part.open("r+b") as file:
        file.truncate(size)
    good = proved(models, size)
    assert complete(models) == len(DATA) - good


def test_every_cut_of_the_journal_resumes_from_what_it_still_proves(models: Path) -> None:
    """A line more or less, torn in the middle, or nothing at all."""
    staging = staging_for(models, NAME)
    part, whole = staging.part.read_bytes(), staging.journal.read_bytes()
    for end in range(0, len(whole), 17):
        staging.part.write_bytes(part)
        staging.journal.write_bytes(whole[:end])
        log = journal.read(staging.journal)
        good = log.checkpoints[-1][0] if log and log.checkpoints else 0
        assert complete(models) == len(DATA) - good


def test_a_part_without_journal_or_a_journal_without_part_is_nothing(models: Path) -> None:
    """Size and name prove nothing."""
    staging = staging_for(models, NAME)
    staging.journal.rename(models / "away")
    assert complete(models) == len(DATA)
    (models / "away").rename(staging.journal)
    assert complete(models) == len(DATA)


def test_a_line_from_before_an_earlier_resume_does_no_harm(models: Path) -> None:
    """It no longer matches the bytes, and the lines after it do."""
    change_part(models, 2 * STEP, bytes(STEP))
    part = part_at(models, artifact_of(DATA))
    assert opened(part) == proved(models, 2 * STEP)
    pour(part, DATA, KEPT)
    assert suspended(part) == KEPT
    assert complete(models) == len(DATA) - KEPT


@pytest.mark.parametrize(
    "wanted",
    [
        artifact_of(gguf(96 * KIB, seed=1)),
        artifact_of(DATA + b"x"),
        replace(artifact_of(DATA), sha256=None, digests={Digest.LFS_POINTER: "0" * 40}),
        unproved(),
    ],
    ids=["digest", "size", "pointer", "nothing known"],
)
def test_bytes_of_something_else_are_not_resumed(models: Path, wanted: object) -> None:
    """The header does not fit: start over. (Of the last nothing but the validator would tell, and the header's own
    digest.)
    """
    artifact = wanted
    assert isinstance(artifact, type(unproved()))
    part = part_at(models, artifact)
    assert opened(part) == (KEPT if artifact == unproved() else 0)
    part.remove()


def test_without_digest_and_validator_nothing_is_resumed(tmp_path: Path) -> None:
    """Nothing could show whether the server still has these bytes."""
    part = part_at(tmp_path, unproved())
    opened(part)
    pour(part, DATA, KEPT, remote_of(DATA, None))
    suspended(part)
    part = part_at(tmp_path, unproved())
    assert opened(part) == 0
    assert staged(tmp_path) == []


def test_no_resume_starts_over(models: Path) -> None:
    """However much is verified."""
    part = part_at(models, artifact_of(DATA))
    assert opened(part, resume=False) == 0
    assert part.received == 0
    part.remove()


def test_a_part_that_is_whole_needs_no_server(models: Path) -> None:
    """There is nothing to claim."""
    kill_after(models, DATA, len(DATA))
    part = part_at(models, artifact_of(DATA))
    assert opened(part) == len(DATA)
    assert part.claim() is None
    assert part.verify(CancelToken()) == digest_of(DATA)
    part.remove()


def test_a_part_or_journal_of_another_kind_is_not_touched(models: Path) -> None:
    """Of another format, or not a plain file: the error says so before anything is changed."""
    staging = staging_for(models, NAME)
    staging.journal.write_bytes(journal.encode({"v": 2}))
    with pytest.raises(StorageError, match="has format 2"):
        part_at(models, artifact_of(DATA))
    staging.journal.unlink()
    staging.journal.mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        part_at(models, artifact_of(DATA))
    assert staged(models) == [f"{NAME}.part"]


def test_a_hard_link_to_an_old_part_keeps_its_bytes(models: Path) -> None:
    """Such as a backup made of links."""
    staging = staging_for(models, NAME)
    before = staging.part.read_bytes()
    (models / "backup").hardlink_to(staging.part)
    part = part_at(models, artifact_of(gguf(96 * KIB, seed=1)))
    assert opened(part) == 0
    part.remove()
    assert (models / "backup").read_bytes() == before


def test_proving_is_interrupted_at_once_and_what_was_kept_stays_kept(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+C while 40 GB are hashed does not delete them where the user wants them kept."""
    token, go = CancelToken(), threading.Event()

    def hang(_file: fs.File, _size: int, _offset: int) -> bytes:
        token.cancel()
        assert go.wait(10)
        return b""

    monkeypatch.setattr(fs, "read_at", hang)
    part = part_at(models, artifact_of(DATA))
    with pytest.raises(Exception, match="interrupted"):
        part.open(True, token, lambda _done: None)
    assert suspended(part) == KEPT
    go.set()
    monkeypatch.undo()
    assert complete(models) == len(DATA) - KEPT


def test_a_header_may_be_all_that_there_is(tmp_path: Path) -> None:
    """Killed before the first checkpoint."""
    staging = staging_for(tmp_path, NAME)
    staging.part.parent.mkdir()
    staging.part.write_bytes(bytes(len(DATA)))
    Journal(staging.journal).begin(Header(NAME, len(DATA), digest_of(DATA)))
    assert complete(tmp_path) == len(DATA)
