"""A part is filled and verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.disk import journal
from luci_dl.errors import IntegrityError, StorageError
from luci_dl.model import Artifact
from luci_dl.plan import Remote
from tests.disk.hands import (
    KIB,
    artifact_of,
    claimed,
    digest_of,
    gguf,
    opened,
    part_at,
    pour,
    remote_of,
    sync_every,
    unproved,
    url_of,
    verified,
)
from tests.procs import wait_until

DATA = gguf(64 * KIB)


@pytest.mark.parametrize("size", [4, 5, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 64 * KIB])
@pytest.mark.parametrize("known", [True, False])
def test_any_size_is_filled_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, known: bool
) -> None:
    """Also exact multiples of a block and of a sync; with a digest known or not."""
    sync_every(monkeypatch, 16 * KIB)
    data = DATA[:size]
    name = "model.raw"  # nothing but a digest can say whether such a file is whole
    part = part_at(tmp_path, artifact_of(data, name) if known else unproved(name))
    assert opened(part) == 0
    pour(part, data)
    assert verified(part) == digest_of(data)
    assert part.staging.part.read_bytes() == data
    assert part.remove()


def test_an_empty_file_needs_no_byte(tmp_path: Path) -> None:
    """One that is not named like a model; there is nothing to claim."""
    part = part_at(tmp_path, Artifact("empty.txt", (url_of("empty.txt"),), 0, digest_of(b"")))
    opened(part)
    assert part.claim() is None
    assert verified(part) == digest_of(b"")
    part.remove()


@pytest.mark.parametrize(("data", "what"), [(b"", "is empty"), (b"G", "only 1 bytes"), (b"GGUF", "only 4 bytes")])
def test_without_a_digest_the_contents_are_checked(tmp_path: Path, data: bytes, what: str) -> None:
    """A file that only begins like a GGUF file is not one."""
    part = part_at(tmp_path, unproved())
    opened(part)
    pour(part, data)
    with pytest.raises(IntegrityError, match=what):
        verified(part)
    part.remove()


def test_other_kinds_are_refused_by_their_first_bytes(tmp_path: Path) -> None:
    """Before anything of them is written, also when they come one by one."""
    part = part_at(tmp_path, unproved(size=len(DATA)))
    opened(part)
    lease = claimed(part)
    part.begin(lease, remote_of(DATA), 0)
    part.write(lease, b"GG")
    with pytest.raises(IntegrityError, match="is not a GGUF file"):
        part.write(lease, b"<html>")
    assert lease.pos == 2
    part.remove()


def test_more_bytes_than_the_file_has_are_refused(tmp_path: Path) -> None:
    """Nothing is written beyond the size."""
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    lease = claimed(part)
    part.begin(lease, remote_of(DATA), 0)
    part.write(lease, DATA)
    with pytest.raises(IntegrityError, match="more than the 65536 bytes"):
        part.write(lease, b"x")
    assert part.staging.part.stat().st_size == len(DATA)
    part.remove()


def test_a_part_that_is_not_complete_is_never_verified(tmp_path: Path) -> None:
    """Of known and of unknown size."""
    for artifact in (artifact_of(DATA), unproved()):
        part = part_at(tmp_path, artifact)
        opened(part)
        pour(part, DATA, 32 * KIB, Remote(url_of(), artifact.size, None))
        with pytest.raises(StorageError, match="is not complete"):
            verified(part)
        part.remove()


def test_wrong_bytes_are_never_verified(tmp_path: Path) -> None:
    """The error names both digests."""
    wrong = DATA[:-1] + bytes([DATA[-1] ^ 1])
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    pour(part, wrong)
    with pytest.raises(IntegrityError, match=f"expected SHA-256 {digest_of(DATA)}, found SHA-256 {digest_of(wrong)}"):
        verified(part)
    part.remove()


def test_the_installed_file_is_as_long_as_what_was_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although a server that did not state the size sent more bytes before the crash."""
    sync_every(monkeypatch, 32 * KIB)
    artifact = replace(artifact_of(DATA[: 40 * KIB]), size=None)
    crashed = part_at(tmp_path, artifact)
    opened(crashed)
    lease = claimed(crashed)
    crashed.begin(lease, Remote(url_of(), None, None), 0)
    crashed.write(lease, DATA[: 32 * KIB])
    wait_until(lambda: (log := journal.read(crashed.staging.journal)) and log.checkpoints)
    crashed.write(lease, DATA[32 * KIB : 50 * KIB])
    crashed.close()
    part = part_at(tmp_path, artifact)
    assert opened(part) == 32 * KIB
    pour(part, DATA[: 40 * KIB], remote=Remote(url_of(), 40 * KIB, None))
    assert verified(part) == artifact.sha256
    assert part.staging.part.read_bytes() == DATA[: 40 * KIB]
    part.remove()
