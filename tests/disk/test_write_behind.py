"""The blocks of the workers are written by another thread: its memory, its errors, its end."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.disk import backlog, buffers, fs, journal
from luci_dl.disk.part import Part
from luci_dl.errors import StorageError
from luci_dl.plan import PAGE, Lease
from tests.disk.hands import (
    artifact_of,
    claimed,
    digest_of,
    gguf,
    opened,
    part_at,
    remote_of,
    staged,
    suspended,
    verified,
)
from tests.procs import wait_until

MIB = 1 << 20
BUFFER = buffers.LARGE
DATA = gguf(10 * MIB + 4321)


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    yield part
    part.close()


def begun(part: Part, at_most: int | None = None) -> Lease:
    """A lease that may be written by."""
    lease = part.claim(at_most)
    assert lease
    part.begin(lease, remote_of(DATA), lease.pos)
    return lease


def read_into(part: Part, lease: Lease, length: int) -> None:
    """What a worker does with the next `length` bytes that come."""
    end = min(len(DATA), lease.pos + length)
    while lease.pos < end:
        memory = part.buffer(lease)[: end - lease.pos]
        memory[:] = DATA[lease.pos : lease.pos + len(memory)]
        part.write(lease, memory)


def fill(part: Part, lease: Lease, length: int = BUFFER) -> None:
    while lease.pos != lease.end:
        read_into(part, lease, length)


def held_up(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Every write to a part waits. Returns: that one has begun; that it may go on."""
    writing, go, real = threading.Event(), threading.Event(), fs.write_at

    def slow(file: fs.File, *rest: Any, **more: Any) -> None:
        if file.path.suffix == ".part":
            writing.set()
            assert go.wait(20)
        real(file, *rest, **more)

    monkeypatch.setattr(fs, "write_at", slow)
    return writing, go


def test_small_blocks_are_collected(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow connection brings thousands of them; the disk gets few large ones, each at a multiple of its size."""
    written, real = list[tuple[int, int]](), fs.write_at

    def noting(file: fs.File, data: memoryview, offset: int, **more: Any) -> None:
        if file.path.suffix == ".part":
            written.append((offset, len(data)))
        real(file, data, offset, **more)

    monkeypatch.setattr(fs, "write_at", noting)
    monkeypatch.setattr(buffers, "COLLECT_S", 60.0)
    lease = begun(part)
    fill(part, lease, 10_000)
    assert verified(part) == digest_of(DATA)
    assert written == [(at, min(BUFFER, len(DATA) - at)) for at in range(0, len(DATA), BUFFER)]


def test_what_comes_slowly_is_soon_on_disk_and_in_the_journal(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before there is enough for a large block, or for a sync: a kill costs no more than that."""
    monkeypatch.setattr(buffers, "COLLECT_S", 0.01)
    monkeypatch.setattr(backlog, "SYNC_S", 0.02)
    lease = begun(part)
    for _ in range(3):
        time.sleep(0.03)
        read_into(part, lease, 2000)
    assert wait_until(lambda: (log := journal.read(part.staging.journal)) and log.checkpoints)
    assert 0 < part.readable(0) <= lease.pos < MIB


def test_what_comes_is_in_the_journal_in_small_shares_of_the_whole(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a second is over: a kill costs little of a small file, too."""
    monkeypatch.setattr(buffers, "COLLECT_S", 0.01)
    monkeypatch.setattr(backlog, "SYNC_S", 60.0)
    lease = begun(part)
    for _ in range(4):
        time.sleep(backlog.SOON_S + 0.05)
        read_into(part, lease, 2000)
        part.check()
    assert wait_until(lambda: (log := journal.read(part.staging.journal)) and len(log.checkpoints) > 1)


def test_of_many_states_few_are_kept_in_memory(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first and the last, and none that is near another one: a slow line brings one each second for hours."""
    monkeypatch.setattr(buffers, "COLLECT_S", 0.0)
    monkeypatch.setattr(backlog, "SOON_S", 0.0)
    lease = begun(part)
    for _ in range(20):
        read_into(part, lease, 5000)
        part.check()
        wait_until(lambda: part.readable(0) == lease.pos)
    fill(part, lease)
    assert verified(part) == digest_of(DATA)
    log = journal.read(part.staging.journal)
    assert log
    assert len(log.checkpoints) > 2
    kept = [offset for offset, _ in part._writer._states]
    assert kept == [0, len(DATA)]


def test_what_a_stalled_connection_brought_is_on_disk(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its next bytes follow, although it reads into the memory of those before."""
    monkeypatch.setattr(buffers, "COLLECT_S", 0.0)
    lease = begun(part)
    memory = part.buffer(lease)[:5000]
    memory[:] = DATA[:5000]
    part.write(lease, memory)
    monkeypatch.setattr(buffers, "COLLECT_S", 0.05)
    memory = part.buffer(lease)[:5000]
    memory[:] = DATA[5000:10_000]
    part.write(lease, memory)
    abandoned = part.buffer(lease)
    time.sleep(0.1)
    part.check()
    assert wait_until(lambda: part.readable(0) == 10_000)
    abandoned[:7] = DATA[10_000:10_007]
    part.write(lease, abandoned[:7])
    fill(part, lease)
    assert verified(part) == digest_of(DATA)


def test_what_can_be_read_is_on_disk(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the frontier or beyond it, from any byte on; not what waits in memory."""
    writing, go = held_up(monkeypatch)
    first, second = begun(part, MIB), begun(part, MIB)
    start = second.pos
    fill(part, second, MIB)
    assert writing.wait(20)
    assert part.readable(start + 5) == start + 5
    go.set()
    assert wait_until(lambda: part.readable(start + 5) == 2 * MIB)
    assert (part.readable(0), part.readable(2 * MIB)) == (0, 2 * MIB)
    assert part.staging.part.read_bytes()[start : 2 * MIB] == DATA[start : 2 * MIB]
    fill(part, first, MIB)
    assert wait_until(lambda: part.readable(0) == 2 * MIB)


def test_bytes_that_were_read_elsewhere_are_copied(part: Part) -> None:
    """And are the caller's again at once."""
    lease = begun(part)
    while lease.pos != lease.end:
        data = bytearray(DATA[lease.pos : lease.pos + 3_000_000])
        part.write(lease, memoryview(data))
        data[:] = bytes(len(data))
    assert verified(part) == digest_of(DATA)


def test_many_leases_have_smaller_blocks(part: Part) -> None:
    """All that is collected takes no more memory than a few of the largest."""
    leases = [begun(part, MIB // 2) for _ in range(16)]
    sizes = [len(part.buffer(lease)) for lease in leases]
    assert sizes[0] <= BUFFER
    assert sizes[-1] <= buffers.COLLECTED // 16 + 1  # a byte more shows that a file is too long
    assert sum(sizes) <= 2 * buffers.COLLECTED + len(sizes)
    for lease in leases:
        part.revoke(lease)


def test_memory_that_a_worker_still_reads_into_is_not_used_again(part: Part) -> None:
    """Its right has ended, but the thread may be blocked in the read."""
    lease = begun(part)
    read_into(part, lease, 1000)
    abandoned = part.buffer(lease)
    part.revoke(lease)
    abandoned[:] = bytes(len(abandoned))
    lease = claimed(part)
    while lease.pos != lease.end:
        assert part.buffer(lease).obj is not abandoned.obj
        read_into(part, lease, BUFFER)
        abandoned[:] = bytes(len(abandoned))
    assert verified(part) == digest_of(DATA)


@given(st.data())
def test_any_bytes_are_collected_in_their_order(data: st.DataObject) -> None:
    """Read in place or elsewhere, in pieces of any length, from any offset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffers, "LARGE", 32 * 1024)
        patch.setattr(buffers, "COLLECT_S", 60.0)
        start = data.draw(st.integers(0, 100_000))
        collector, offset, blocks = buffers.Collector(buffers.Buffers()), start, list[buffers.Block]()
        for length in data.draw(st.lists(st.integers(1, 70_000), max_size=8)):
            piece = memoryview(DATA)[offset : offset + length]
            if data.draw(st.booleans()):
                memory = collector.lend(offset, None)[: len(piece)]
                memory[:] = piece[: len(memory)]
                piece = memory
            while piece:
                added = collector.add(offset, piece, len(piece))
                offset, piece = offset + added, piece[added:]
                if collector.is_due:
                    blocks += filter(None, [collector.take()])
        blocks += filter(None, [collector.take()])
    assert b"".join(block.data for block in blocks) == DATA[start:offset]
    assert all(later.offset % (32 * 1024) == 0 for later in blocks[1:])


def test_a_part_that_is_kept_is_not_written_to_any_more(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block beyond what is kept may be on its way: the next process must not find it over its own bytes."""
    fill(part, begun(part, 4 * MIB))
    wait_until(lambda: part.frontier == 4 * MIB)
    writing, go = held_up(monkeypatch)
    assert part.claim(MIB)
    read_into(part, claimed(part, MIB), MIB)
    assert writing.wait(10)
    kept: list[int] = []
    suspender = threading.Thread(target=lambda: kept.append(suspended(part)))
    suspender.start()
    wait_until(lambda: part.claim() is None)
    suspender.join(0.2)
    assert not kept
    go.set()
    suspender.join(10)
    assert kept == [5 * MIB]
    again = part_at(tmp_path, artifact_of(DATA))
    assert opened(again) == 4 * MIB
    assert again.received == 5 * MIB
    again.remove()


def fails(part: Part) -> bool:
    try:
        part.check()
    except StorageError:
        return True
    return False


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_write_that_fails_condemns_the_part(part: Part, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Although the hash is ahead of it: the journal has no line beyond it, nothing is kept, and all can be deleted."""
    real, lease = os.pwrite, begun(part)
    read_into(part, lease, BUFFER)
    wait_until(lambda: part.frontier == BUFFER)

    def fail(fd: int, data: Any, offset: int) -> int:
        if offset >= BUFFER:
            raise OSError(code, os.strerror(code))
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", fail)
    with contextlib.suppress(StorageError):  # it may fail before the call returns
        read_into(part, lease, BUFFER)
    wait_until(lambda: fails(part))
    for act in (part.check, lambda: suspended(part)):
        with pytest.raises(StorageError, match="cannot write") as caught:
            act()
        assert caught.value.reason == os.strerror(code)
    log = journal.read(part.staging.journal)
    assert log
    assert max((offset for offset, _ in log.checkpoints), default=0) <= BUFFER
    assert part.remove()
    assert staged(part.staging.part.parent.parent) == []


def short(real: Callable[[int, Any, int], int], fd: int, data: Any, offset: int) -> int:
    """Part of it, and no whole number of pages."""
    return real(fd, data[: max(1, len(data) * 2 // 3)], offset)


def refused(real: Callable[[int, Any, int], int], fd: int, data: Any, offset: int) -> int:
    """Past the cache it does not go."""
    if os.get_blocking(fd) and _is_direct(fd):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return real(fd, data, offset)


def _is_direct(fd: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & getattr(os, "O_DIRECT", 0))


@pytest.mark.parametrize("how", [short, refused])
@pytest.mark.parametrize("since", [0, BUFFER])
def test_a_write_past_the_cache_that_goes_otherwise_costs_nothing_but_time(
    part: Part, monkeypatch: pytest.MonkeyPatch, how: Callable[..., int], since: int
) -> None:
    """A short write is continued; a refused one is repeated through the cache. The first, or one in the middle."""
    real = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda fd, data, offset: (how if offset >= since else _as_it_is)(real, fd, data, offset)
    )
    fill(part, begun(part))
    assert verified(part) == digest_of(DATA)
    assert part.staging.part.read_bytes() == DATA


def _as_it_is(real: Callable[[int, Any, int], int], fd: int, data: Any, offset: int) -> int:
    return real(fd, data, offset)


@pytest.mark.parametrize("length", [BUFFER, MIB, MIB + 1, 3 * MIB - PAGE, 700_001])
def test_blocks_of_any_length_in_any_place_make_the_file(part: Part, length: int) -> None:
    """Those of whole pages, which go past the cache, and all others, in turn."""
    fill(part, begun(part), length)
    assert verified(part) == digest_of(DATA)
    assert part.staging.part.read_bytes() == DATA


def test_no_descriptor_outlives_the_part(tmp_path: Path) -> None:
    """Not even that for writing past the cache."""
    before = set(os.listdir("/dev/fd"))
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    fill(part, begun(part))
    verified(part)
    part.close()
    del part
    wait_until(lambda: len(os.listdir("/dev/fd")) <= len(before))
