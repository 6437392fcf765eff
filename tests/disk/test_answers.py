"""What a response means for the bytes that are there: continue, start over, or fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.disk import journal
from luci_dl.disk.journal import Header
from luci_dl.disk.part_writer import PartWriter
from luci_dl.errors import IntegrityError
from luci_dl.plan import Remote, Segment
from tests.disk.hands import (
    KIB,
    NAME,
    artifact_of,
    claimed,
    digest_of,
    gguf,
    kill_after,
    opened,
    part_at,
    pour,
    remote_of,
    staged,
    unproved,
    url_of,
    verified,
)

DATA = gguf(64 * KIB)
OTHER = gguf(48 * KIB, seed=1)


def test_the_first_answer_is_written_into_the_journal(tmp_path: Path) -> None:
    """Size, digest and validator, before any byte."""
    part = part_at(tmp_path, unproved())
    opened(part)
    assert staged(tmp_path) == []
    part.begin(claimed(part), remote_of(DATA), 0)
    log = journal.read(part.staging.journal)
    assert log
    assert log.header == Header(NAME, len(DATA), None, {}, {url_of(): '"one"'})
    assert part.staging.part.stat().st_size == len(DATA)
    part.remove()


@pytest.mark.parametrize(
    ("provable", "fetched", "same", "offset", "becomes"),
    [
        (True, True, True, None, "continues"),
        (False, True, True, None, "continues"),
        (True, False, True, None, "continues"),
        (False, False, True, None, "continues"),
        (True, True, False, None, "continues"),
        (True, False, False, None, "continues"),
        (False, False, False, None, "starts over"),
        (False, True, False, None, "starts over"),
        (True, True, True, 0, "starts over"),
        (False, True, True, 0, "starts over"),
        (False, False, True, 0, "starts over"),
        (False, True, False, 0, "starts over"),
    ],
)
def test_what_a_later_answer_makes_of_the_bytes_that_are_there(
    tmp_path: Path, provable: bool, fetched: bool, same: bool, offset: int | None, becomes: str
) -> None:
    """`fetched` in this run or verified from an earlier one; `same` version or not; `offset` as requested: None."""
    artifact = replace(artifact_of(DATA), size=None) if provable else unproved()
    if not fetched:
        kill_after(tmp_path, DATA, 32 * KIB, artifact=artifact)
    part = part_at(tmp_path, artifact)
    opened(part)
    if fetched:
        pour(part, DATA, 32 * KIB)
    assert part.received == 32 * KIB
    lease = claimed(part)
    remote = remote_of(DATA) if same else Remote(url_of(), len(DATA), '"two"')
    begins = lease.pos if offset is None else offset
    part.begin(lease, remote, begins)
    assert lease.revoked == (becomes == "starts over")
    assert part.received == (0 if becomes == "starts over" else 32 * KIB)
    part.revoke(lease)
    pour(part, DATA, remote=remote)
    assert verified(part) == digest_of(DATA)
    log = journal.read(part.staging.journal)
    assert log
    assert log.header.validators == {url_of(): '"two"' if becomes == "starts over" and not same else '"one"'}
    assert all(digest == digest_of(DATA[:at]) for at, digest in log.checkpoints)
    part.remove()


def test_a_file_without_digest_may_change_once(tmp_path: Path) -> None:
    """The download starts over; at the second change it ends."""
    part = part_at(tmp_path, unproved())
    opened(part)
    pour(part, DATA, 32 * KIB)
    part.begin(claimed(part), Remote(url_of(), len(DATA), '"two"'), 0)
    pour(part, DATA, 32 * KIB, remote=Remote(url_of(), len(DATA), '"two"'))
    with pytest.raises(IntegrityError, match="changes on the server"):
        part.begin(claimed(part), Remote(url_of(), len(DATA), '"three"'), 0)
    assert part.remove()
    assert staged(tmp_path) == []


def test_another_version_of_another_size_replaces_what_is_there(tmp_path: Path) -> None:
    """The part is as long as the new one."""
    kill_after(tmp_path, DATA, 32 * KIB, artifact=unproved())
    part = part_at(tmp_path, unproved())
    assert opened(part) == 32 * KIB
    lease = claimed(part)
    part.begin(lease, remote_of(OTHER, '"two"'), 0)
    pour(part, OTHER, remote=remote_of(OTHER, '"two"'))
    assert verified(part) == digest_of(OTHER)
    assert part.staging.part.read_bytes() == OTHER
    part.remove()


@pytest.mark.parametrize("remote", [remote_of(OTHER), Remote(url_of(), len(DATA), None, "0" * 64)])
def test_a_response_that_contradicts_the_catalog_is_refused_before_any_byte(tmp_path: Path, remote: Remote) -> None:
    """Size or digest are not those of the catalog."""
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    with pytest.raises(IntegrityError, match="the server has another file than"):
        part.begin(claimed(part), remote, 0)
    assert part.fetched == 0
    part.remove()
    assert staged(tmp_path) == []


def test_the_bytes_are_checked_against_the_digest_of_the_hub(tmp_path: Path) -> None:
    """A digest that only the server knows verifies the file like any other."""
    part = part_at(tmp_path, unproved())
    opened(part)
    pour(part, DATA, remote=Remote(url_of(), len(DATA), None, digest_of(OTHER)))
    assert part.proof == "hub"
    with pytest.raises(IntegrityError, match="are wrong"):
        verified(part)
    part.remove()


def test_the_end_of_a_stream_of_unknown_size_is_the_size(tmp_path: Path) -> None:
    """Nothing was promised, and nothing claimed."""
    part = part_at(tmp_path, unproved())
    opened(part)
    lease = claimed(part)
    part.begin(lease, Remote(url_of(), None, None), 0)
    part.write(lease, DATA)
    part.end_of_file(lease, certain=True)
    assert part.size == len(DATA)
    assert verified(part) == digest_of(DATA)
    part.remove()


def test_a_part_that_starts_over_never_looks_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes it had could be as many as the new version's."""
    part = part_at(tmp_path, unproved())
    opened(part)
    lease = claimed(part)
    part.begin(lease, remote_of(DATA), 0)
    part.write(lease, DATA[: 32 * KIB])
    seen: list[bool] = []
    restart = PartWriter.restart

    def look_and_restart(writer: PartWriter, missing: Sequence[Segment], size: int | None) -> None:
        seen.append(part.received >= (part.size or 0))
        restart(writer, missing, size)

    monkeypatch.setattr(PartWriter, "restart", look_and_restart)
    part.begin(lease, remote_of(DATA[:1000]), 0)
    assert seen == [False]
    assert (part.size, part.received) == (1000, 0)
    part.remove()


def test_a_whole_that_ends_elsewhere_makes_the_bytes_doubtful(tmp_path: Path) -> None:
    """It was another file, so wrong bytes are worth another attempt."""
    part = part_at(tmp_path, unproved())
    opened(part)
    lease = claimed(part)
    part.begin(lease, remote_of(DATA), 0)
    part.write(lease, DATA[:100])
    part.end_of_file(lease, certain=True)
    assert (part.size, part.mixed) == (len(DATA), True)
    part.remove()


def test_a_size_that_is_learned_later_bounds_what_is_written(tmp_path: Path) -> None:
    """The first answer did not say it."""
    part = part_at(tmp_path, unproved())
    opened(part)
    lease = claimed(part)
    part.begin(lease, Remote(url_of(), None, '"one"'), 0)
    part.write(lease, DATA[: 32 * KIB])
    part.revoke(lease)
    lease = claimed(part)
    part.begin(lease, remote_of(DATA), 32 * KIB)
    assert lease.end == len(DATA)
    part.write(lease, DATA[32 * KIB :])
    part.revoke(lease)
    assert part.claim() is None
    assert verified(part) == digest_of(DATA)
    part.remove()
