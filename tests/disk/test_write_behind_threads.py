"""The threads behind the frontier."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, journal, write_behind
from luci_dl.disk.buffers import Buffers
from luci_dl.disk.journal import Header, Journal
from luci_dl.disk.write_behind import WriteBehind
from luci_dl.errors import Interrupted, StorageError
from tests.disk.hands import KIB, digest_of, gguf, sync_every
from tests.procs import wait_until

BLOCK = 4 * KIB
DATA = gguf(64 * KIB)


class Bench:
    """A follower of a part in `folder`, and what has been written to it."""

    def __init__(self, folder: Path, start: int = 0) -> None:
        self.file = fs.create(folder / "m.part")
        self.log = Journal(folder / "m.journal")
        self.log.begin(Header("m.gguf", len(DATA), None, None))
        fs.write_at(self.file, DATA[:start], 0)
        self.follower = WriteBehind(self.file, self.log, Buffers(), start, hashlib.sha256(DATA[:start]))
        self._there = set(range(0, start, BLOCK))

    def write(self, offset: int) -> None:
        block = DATA[offset : offset + BLOCK]
        self.follower.put(offset, block)
        self._there.add(offset)
        self.follower.accept(next((at for at in range(0, len(DATA), BLOCK) if at not in self._there), len(DATA)))

    def marks(self) -> tuple[tuple[int, str], ...]:
        log = journal.read(self.log.path)
        assert log
        return log.marks


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    sync_every(monkeypatch, 16 * KIB)
    bench = Bench(tmp_path)
    yield bench
    bench.follower.stop()


@pytest.mark.parametrize("seed", range(5))
def test_what_was_written_ahead_is_read_back(bench: Bench, seed: int) -> None:
    """In any order of arrival the digest is hashlib's, and every line of the journal is true."""
    offsets = list(range(0, len(DATA), BLOCK))
    if seed:
        random.Random(seed).shuffle(offsets)
    for offset in offsets:
        bench.write(offset)
    assert bench.follower.finish(len(DATA), CancelToken()) == digest_of(DATA)
    assert bench.marks()[-1] == (len(DATA), digest_of(DATA))
    assert all(digest == digest_of(DATA[:at]) for at, digest in bench.marks())


def test_it_goes_on_with_the_hash_of_what_was_proved(tmp_path: Path) -> None:
    """The bytes below are not read again."""
    bench = Bench(tmp_path, start=32 * KIB)
    fs.write_at(bench.file, bytes(32 * KIB), 0)
    for offset in range(32 * KIB, len(DATA), BLOCK):
        bench.write(offset)
    assert bench.follower.finish(len(DATA), CancelToken()) == digest_of(DATA)


def test_two_workers_may_tell_in_the_other_order(bench: Bench) -> None:
    """What one of them says late takes nothing back."""
    bench.follower.put(0, DATA[:BLOCK])
    bench.follower.put(BLOCK, DATA[BLOCK : 2 * BLOCK])
    bench.follower.accept(2 * BLOCK)
    bench.follower.accept(BLOCK)
    assert bench.follower.finish(2 * BLOCK, CancelToken()) == digest_of(DATA[: 2 * BLOCK])


def test_what_is_hashed_but_not_written_is_not_behind_the_frontier(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a write hangs nothing of it is synced or in the journal, whatever the hash has seen."""
    go, real = threading.Event(), fs.write_at

    def slow(file: fs.File, *rest: Any, **more: Any) -> None:
        assert file is not bench.file or go.wait(10)
        real(file, *rest, **more)

    monkeypatch.setattr(fs, "write_at", slow)
    for offset in range(0, 32 * KIB, BLOCK):
        bench.write(offset)
    wait_until(lambda: bench.follower._hashed == 32 * KIB)
    assert (bench.follower.frontier, bench.follower.journaled, bench.marks()) == (0, 0, ())
    go.set()
    assert bench.follower.finish(32 * KIB, CancelToken()) == digest_of(DATA[: 32 * KIB])


def test_nothing_is_written_once_writing_was_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write under way is waited for: those who start over must not be written over."""
    writing, go, real = threading.Event(), threading.Event(), fs.write_at
    order: list[str] = []

    def slow(*args: Any, **more: Any) -> None:
        writing.set()
        assert go.wait(10)
        real(*args, **more)
        order.append("written")

    monkeypatch.setattr(fs, "write_at", slow)
    bench.write(0)
    bench.write(BLOCK)
    assert writing.wait(10)

    def stop() -> None:
        bench.follower.stop_writing()
        order.append("stopped")

    stopper = threading.Thread(target=stop)
    stopper.start()
    wait_until(lambda: bench.follower._stopped)
    go.set()
    stopper.join(10)
    assert order == ["written", "stopped"]


def test_a_line_is_written_after_the_sync_of_what_it_speaks_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a sync hangs the journal says nothing of those bytes."""
    syncing, go, real = threading.Event(), threading.Event(), fs.sync_data

    def slow(file: fs.File) -> None:
        syncing.set()
        assert go.wait(10)
        real(file)

    monkeypatch.setattr(fs, "sync_data", slow)
    for offset in range(0, 16 * KIB, BLOCK):
        bench.write(offset)
    assert syncing.wait(10)
    assert bench.marks() == ()
    assert bench.follower.journaled == 0
    go.set()
    wait_until(lambda: bench.marks() == ((16 * KIB, digest_of(DATA[: 16 * KIB])),))


def test_a_failed_sync_condemns_the_part_and_is_never_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks gets the error, also later, and the journal says nothing of those bytes."""
    calls = []

    def fail(file: fs.File) -> None:
        calls.append(file)
        raise StorageError("cannot sync m.part: Input/output error")

    monkeypatch.setattr(fs, "sync_data", fail)
    for offset in range(0, 16 * KIB, BLOCK):
        bench.write(offset)
    wait_until(lambda: bench.follower.error)
    for offset in range(16 * KIB, len(DATA), BLOCK):
        bench.write(offset)
    for _ in range(2):
        with pytest.raises(StorageError, match="cannot sync"):
            bench.follower.finish(len(DATA), CancelToken())
    assert len(calls) == 1
    assert bench.marks() == ()


def test_a_bug_in_a_thread_behind_is_raised_where_somebody_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever for a thread that is gone."""

    def broken(_file: fs.File) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fs, "sync_data", broken)
    for offset in range(0, len(DATA), BLOCK):
        bench.write(offset)
    with pytest.raises(ZeroDivisionError):
        bench.follower.finish(len(DATA), CancelToken())


def test_a_file_that_became_shorter_is_an_error(bench: Bench) -> None:
    """What was written ahead must still be there when the frontier comes."""
    bench.write(BLOCK)
    wait_until(lambda: not bench.follower._to_write)
    fs.set_length(bench.file, 0)
    bench.write(0)
    with pytest.raises(StorageError, match="became shorter"):
        bench.follower.finish(2 * BLOCK, CancelToken())


def test_nothing_is_written_more_than_so_far_ahead_of_the_journal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So no more than that is fetched again after a kill."""
    monkeypatch.setattr(write_behind, "AHEAD", 32 * KIB)
    assert bench.follower.has_room(32 * KIB)
    assert not bench.follower.has_room(32 * KIB + 1)
    for offset in range(0, 16 * KIB, BLOCK):
        bench.write(offset)
    bench.follower.wait_for_room(48 * KIB, 10)
    assert bench.follower.has_room(48 * KIB)
    assert not bench.follower.has_room(48 * KIB + 1)
    bench.follower.stop()


def test_writers_wait_while_the_hash_is_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in memory is bounded; what came too much is read back."""
    monkeypatch.setattr(write_behind, "QUEUE", 2 * BLOCK)
    monkeypatch.setattr(bench.follower, "_queued", 2 * BLOCK)
    assert not bench.follower.has_room(BLOCK)
    bench.write(0)
    assert not bench.follower._to_hash
    with bench.follower._lock:
        bench.follower._queued = 0
    for offset in range(BLOCK, len(DATA), BLOCK):
        bench.write(offset)
    assert bench.follower.finish(len(DATA), CancelToken()) == digest_of(DATA)


def test_a_stopped_follower_never_calls_what_it_has_the_whole(bench: Bench) -> None:
    """`finish` ends at once with a bug's error, not with a digest of less, and not never."""
    bench.write(0)
    bench.follower.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        bench.follower.finish(len(DATA), CancelToken())


def test_waiting_for_the_end_can_be_interrupted(bench: Bench) -> None:
    """At once, though bytes are missing."""
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(Interrupted):
        bench.follower.finish(len(DATA), token)
    bench.follower.stop()


def test_finish_may_be_asked_again(bench: Bench) -> None:
    """The digest is the same; an empty file has one too."""
    for offset in range(0, len(DATA), BLOCK):
        bench.write(offset)
    assert bench.follower.finish(len(DATA), CancelToken()) == bench.follower.finish(len(DATA), CancelToken())


def test_an_empty_file_has_a_digest(bench: Bench) -> None:
    """Of nothing."""
    assert bench.follower.finish(0, CancelToken()) == digest_of(b"")


def test_its_threads_end_with_it(tmp_path: Path) -> None:
    """And let go of the file."""
    before = set(threading.enumerate())
    bench = Bench(tmp_path)
    bench.write(0)
    bench.follower.stop()
    wait_until(lambda: set(threading.enumerate()) <= before)
