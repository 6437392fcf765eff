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
from luci_dl.disk import backlog, fs, journal
from luci_dl.disk.block_sums import BlockSums
from luci_dl.disk.buffers import Block, Buffers
from luci_dl.disk.guarded_file import Gate, GuardedFile
from luci_dl.disk.journal import Header
from luci_dl.disk.journal_writer import Journal
from luci_dl.disk.write_behind import WriteBehind
from luci_dl.errors import Interrupted, StorageError
from tests.disk.hands import KIB, digest_of, gguf, sync_every, xxh3_of
from tests.procs import wait_until

BLOCK = 4 * KIB
DATA = gguf(64 * KIB)


class Bench:
    """A `WriteBehind` of a part in `folder`, and what has been written to it."""

    def __init__(self, folder: Path, start: int = 0) -> None:
        self.file = GuardedFile(fs.create(folder / "m.part"), Gate())
        self.log = Journal(folder / "m.journal")
        self.log.begin(Header("m.gguf", len(DATA), None))
        self.file.write(DATA[:start], 0)
        self.sums = BlockSums()
        states = [(start, hashlib.sha256(DATA[:start]))]
        self.write_behind = WriteBehind(self.file, self.log, Buffers(), self.sums, states, lambda: len(DATA))
        self._there = set(range(0, start, BLOCK))

    def write(self, offset: int) -> None:
        self.put(offset)
        self._there.add(offset)
        self.write_behind.backlog.accept(
            next((at for at in range(0, len(DATA), BLOCK) if at not in self._there), len(DATA))
        )

    def put(self, offset: int) -> None:
        self.write_behind.backlog.put(Block(offset, memoryview(DATA)[offset : offset + BLOCK]))

    def checkpoints(self) -> tuple[tuple[int, str], ...]:
        log = journal.read(self.log.path)
        assert log
        return log.checkpoints


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    sync_every(monkeypatch, 16 * KIB)
    bench = Bench(tmp_path)
    yield bench
    bench.write_behind.stop()


@pytest.mark.parametrize("seed", range(5))
def test_what_was_written_ahead_is_read_back(bench: Bench, seed: int) -> None:
    """In any order of arrival the digest is hashlib's, and every line of the journal is true."""
    offsets = list(range(0, len(DATA), BLOCK))
    if seed:
        random.Random(seed).shuffle(offsets)
    for offset in offsets:
        bench.write(offset)
    assert bench.write_behind.finish(len(DATA), CancelToken()) == digest_of(DATA)
    assert bench.checkpoints()[-1] == (len(DATA), digest_of(DATA))
    assert all(digest == digest_of(DATA[:at]) for at, digest in bench.checkpoints())


def test_it_continues_the_hash_of_what_was_proved(tmp_path: Path) -> None:
    """The bytes below are not read again."""
    bench = Bench(tmp_path, start=32 * KIB)
    bench.file.write(bytes(32 * KIB), 0)
    for offset in range(32 * KIB, len(DATA), BLOCK):
        bench.write(offset)
    assert bench.write_behind.finish(len(DATA), CancelToken()) == digest_of(DATA)


def test_two_workers_may_report_in_the_other_order(bench: Bench) -> None:
    """A late report does not reduce what was reported."""
    bench.put(0)
    bench.put(BLOCK)
    bench.write_behind.backlog.accept(2 * BLOCK)
    bench.write_behind.backlog.accept(BLOCK)
    assert bench.write_behind.finish(2 * BLOCK, CancelToken()) == digest_of(DATA[: 2 * BLOCK])


def test_what_is_hashed_but_not_written_is_not_behind_the_frontier(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a write hangs nothing of it is synced or in the journal, whatever the hash has seen."""
    go, real = threading.Event(), fs.write_at

    def slow(file: fs.File, *rest: Any, **more: Any) -> None:
        assert file is not bench.file.raw or go.wait(10)
        real(file, *rest, **more)

    monkeypatch.setattr(fs, "write_at", slow)
    for offset in range(0, 32 * KIB, BLOCK):
        bench.write(offset)
    wait_until(lambda: bench.write_behind.backlog.state[0] == 32 * KIB)
    assert (bench.write_behind.frontier, bench.write_behind.backlog.journaled, bench.checkpoints()) == (0, 0, ())
    go.set()
    assert bench.write_behind.finish(32 * KIB, CancelToken()) == digest_of(DATA[: 32 * KIB])


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
        bench.write_behind.stop(wait=True)
        order.append("stopped")

    stopper = threading.Thread(target=stop)
    stopper.start()
    wait_until(lambda: bench.write_behind.backlog.stopped)
    go.set()
    stopper.join(10)
    assert order == ["written", "stopped"]


def test_a_line_is_written_after_the_sync_of_what_it_is_about(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert bench.checkpoints() == ()
    assert bench.write_behind.backlog.journaled == 0
    go.set()
    wait_until(lambda: bench.checkpoints() == ((16 * KIB, digest_of(DATA[: 16 * KIB])),))


def test_a_failed_sync_condemns_the_part_and_is_never_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every caller gets the error, also later, and the journal does not mention those bytes."""
    calls = []

    def fail(file: fs.File) -> None:
        calls.append(file)
        raise StorageError("cannot sync m.part: Input/output error")

    monkeypatch.setattr(fs, "sync_data", fail)
    for offset in range(0, 16 * KIB, BLOCK):
        bench.write(offset)
    wait_until(lambda: bench.write_behind.error)
    for offset in range(16 * KIB, len(DATA), BLOCK):
        bench.write(offset)
    for _ in range(2):
        with pytest.raises(StorageError, match="cannot sync"):
            bench.write_behind.finish(len(DATA), CancelToken())
    assert len(calls) == 1
    assert bench.checkpoints() == ()


def test_a_bug_in_a_thread_behind_is_raised_where_a_thread_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread waits forever for one that has ended."""

    def broken(_file: fs.File) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fs, "sync_data", broken)
    for offset in range(0, len(DATA), BLOCK):
        bench.write(offset)
    with pytest.raises(ZeroDivisionError):
        bench.write_behind.finish(len(DATA), CancelToken())


def test_a_file_that_became_shorter_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written ahead must still be there when the frontier comes."""
    monkeypatch.setattr(backlog, "NEAR", 0)
    bench.write(BLOCK)
    wait_until(lambda: not bench.write_behind.backlog._to_write)
    bench.file.set_length(0)
    bench.write(0)
    with pytest.raises(StorageError, match="was truncated"):
        bench.write_behind.finish(2 * BLOCK, CancelToken())


def test_nothing_is_written_more_than_so_far_ahead_of_the_journal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So no more than that is fetched again after a kill."""
    monkeypatch.setattr(backlog, "AHEAD", 32 * KIB)
    assert bench.write_behind.backlog.wait_for_room(32 * KIB, 0)
    assert not bench.write_behind.backlog.wait_for_room(32 * KIB + 1, 0)
    for offset in range(0, 16 * KIB, BLOCK):
        bench.write(offset)
    assert bench.write_behind.backlog.wait_for_room(48 * KIB, 10)
    assert not bench.write_behind.backlog.wait_for_room(48 * KIB + 1, 0)
    bench.write_behind.stop()


@pytest.mark.parametrize("behind", ["_queued", "_unwritten"])
def test_writers_wait_while_a_thread_is_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch, behind: str) -> None:
    """What waits in memory is bounded, whichever of the threads it waits for."""
    monkeypatch.setattr(bench.write_behind.backlog, behind, backlog.QUEUE)
    assert not bench.write_behind.backlog.wait_for_room(BLOCK, 0)
    monkeypatch.undo()
    assert bench.write_behind.backlog.wait_for_room(BLOCK, 0)


@pytest.mark.parametrize("near", [0, 3 * BLOCK, len(DATA)])
def test_each_byte_is_written_hashed_and_summed_whatever_stays_in_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    """Blocks far ahead are read back, those nearby are not; the digest of the only block comes from neither."""
    monkeypatch.setattr(backlog, "NEAR", near)
    offsets = list(range(0, len(DATA), BLOCK))
    for offset in [*offsets[1::2], *offsets[::2]]:
        bench.write(offset)
    assert bench.write_behind.finish(len(DATA), CancelToken()) == digest_of(DATA)
    assert bench.file.raw.size == len(DATA)
    assert bench.sums.blocks[0] in (None, xxh3_of(DATA))


def test_a_stopped_write_behind_never_calls_what_it_has_the_whole(bench: Bench) -> None:
    """`finish` ends at once with a bug's error, not with a digest of less, and not never."""
    bench.write(0)
    bench.write_behind.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        bench.write_behind.finish(len(DATA), CancelToken())


def test_waiting_for_the_end_can_be_interrupted(bench: Bench) -> None:
    """At once, though bytes are missing."""
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(Interrupted):
        bench.write_behind.finish(len(DATA), token)
    bench.write_behind.stop()


def test_finish_may_be_asked_again(bench: Bench) -> None:
    """The digest is the same; an empty file has one too."""
    for offset in range(0, len(DATA), BLOCK):
        bench.write(offset)
    assert bench.write_behind.finish(len(DATA), CancelToken()) == bench.write_behind.finish(len(DATA), CancelToken())


def test_an_empty_file_has_a_digest(bench: Bench) -> None:
    """Of nothing."""
    assert bench.write_behind.finish(0, CancelToken()) == digest_of(b"")


def test_its_threads_end_with_it(tmp_path: Path) -> None:
    """And they close the file."""
    before = set(threading.enumerate())
    bench = Bench(tmp_path)
    bench.write(0)
    bench.write_behind.stop()
    wait_until(lambda: set(threading.enumerate()) <= before)
