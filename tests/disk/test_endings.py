"""The endings of a part: kept, or removed and never created again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from luci_dl.disk import fs, identity
from luci_dl.disk.journal import Header
from luci_dl.disk.part import Part
from luci_dl.errors import StorageError
from luci_dl.plan import Remote, Revoked
from tests.disk.hands import (
    KIB,
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
    suspended,
    unproved,
    verified,
)
from tests.procs import wait_until

DATA = gguf(64 * KIB)


def fresh(folder: Path) -> Part:
    return part_at(folder, artifact_of(DATA))


def test_a_kept_part_is_verified_to_its_last_byte(tmp_path: Path) -> None:
    """Whatever SYNC_EVERY is, no byte that is there is fetched again."""
    kill_after(tmp_path, DATA, 50 * KIB)
    assert staged(tmp_path) == ["model.gguf.journal", "model.gguf.part"]
    part = part_at(tmp_path, artifact_of(DATA))
    assert opened(part) == 50 * KIB
    pour(part, DATA)
    assert (part.fetched, verified(part)) == (14 * KIB, digest_of(DATA))
    part.remove()


def test_a_part_without_verified_bytes_is_not_kept(tmp_path: Path) -> None:
    """Also if only bytes beyond the frontier have arrived."""
    part = fresh(tmp_path)
    opened(part)
    first, second = part.claim(16 * KIB), part.claim(16 * KIB)
    assert first
    assert second
    part.begin(second, remote_of(DATA), 16 * KIB)
    part.write(second, DATA[16 * KIB : 20 * KIB])
    assert suspended(part) == 0
    assert part.remove()


def test_a_part_whose_sync_failed_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every caller gets the error."""
    part = fresh(tmp_path)
    opened(part)
    monkeypatch.setattr(fs, "sync_data", lambda _file: (_ for _ in ()).throw(StorageError("cannot sync")))
    pour(part, DATA)
    with pytest.raises(StorageError, match="cannot sync"):
        suspended(part)
    with pytest.raises(StorageError, match="cannot sync"):
        part.check()
    part.remove()
    assert staged(tmp_path) == []


def test_a_removed_part_leaves_nothing_and_is_removed_once(tmp_path: Path) -> None:
    """A worker that still writes gets an error."""
    part = fresh(tmp_path)
    opened(part)
    lease = claimed(part)
    part.begin(lease, remote_of(DATA), 0)
    assert part.remove()
    assert not part.remove()
    assert staged(tmp_path) == []
    with pytest.raises(Revoked):
        part.write(lease, DATA)
    assert part.claim() is None


def removed_in_the_middle(folder: Path, monkeypatch: pytest.MonkeyPatch, part: Part, offset: int = 0) -> None:
    """Remove the part just when a worker is inside `begin`; by then the next process has files of that name."""
    lease, learn = claimed(part), identity.learn

    def interrupt(known: Header, remote: Remote) -> Header:
        part.remove()
        part.staging.part.write_text("another's")
        part.staging.journal.write_text("another's")
        return learn(known, remote)

    monkeypatch.setattr(identity, "learn", interrupt)
    with pytest.raises(Revoked):
        part.begin(lease, remote_of(DATA, '"two"'), offset)
    assert part.staging.part.read_text() == "another's"
    assert part.staging.journal.read_text() == "another's"


def test_a_worker_makes_no_names_after_the_part_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a journal for the first response."""
    part = fresh(tmp_path)
    opened(part)
    removed_in_the_middle(tmp_path, monkeypatch, part)


def test_nor_a_part_whose_size_was_just_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take the name of the next process's."""
    part = part_at(tmp_path, unproved())
    opened(part)
    removed_in_the_middle(tmp_path, monkeypatch, part)


def test_nor_a_journal_when_it_starts_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example because the server ignored the range."""
    part = fresh(tmp_path)
    opened(part)
    pour(part, DATA, 32 * KIB)
    removed_in_the_middle(tmp_path, monkeypatch, part)


def test_a_suspend_waits_for_an_answer_that_starts_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then keeps nothing, instead of waiting forever for bytes that were dropped."""
    part = fresh(tmp_path)
    opened(part)
    pour(part, DATA, 32 * KIB)
    lease, learn, kept = claimed(part), identity.learn, list[int]()
    suspender = threading.Thread(target=lambda: kept.append(suspended(part)))

    def interrupt(known: Header, remote: Remote) -> Header:
        suspender.start()
        wait_until(lambda: lease.revoked)
        return learn(known, remote)

    monkeypatch.setattr(identity, "learn", interrupt)
    part.begin(lease, remote_of(DATA), 0)
    suspender.join(10)
    assert kept == [0]
    part.remove()
    assert staged(tmp_path) == []


def test_its_files_and_threads_end_with_it(tmp_path: Path) -> None:
    """Whatever the ending."""
    before = set(threading.enumerate())
    for end in (Part.close, Part.remove, lambda part: suspended(part)):
        part = fresh(tmp_path)
        opened(part)
        pour(part, DATA)
        end(part)
    wait_until(lambda: set(threading.enumerate()) <= before)
