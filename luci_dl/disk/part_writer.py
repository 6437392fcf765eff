"""The bytes of a part: which worker may write which range, and the threads that write and hash behind them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

from luci_dl.cancel import CancelToken
from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.buffers import Buffers, Collector
from luci_dl.disk.file import read_at
from luci_dl.disk.part_files import PartFiles
from luci_dl.disk.proof import Proof, nothing
from luci_dl.disk.range_map import RangeMap, merged
from luci_dl.disk.write_behind import WriteBehind
from luci_dl.plan import Lease, Revoked, Segment

_ROOM_POLL_S = 0.1
_STOP_S = 0.2  # of the time to suspend, to close the files after the last checkpoint


class PartWriter:
    """Takes the bytes of any number of workers. Its own threads run from the first byte to `finish`.

    Attributes:
        ranges: which bytes are missing, and who may write them.
        sums: the digests of the blocks.
    """

    def __init__(self, files: PartFiles) -> None:
        self.resume(nothing(None))
        self._buffers = Buffers()
        self._files = files
        self._collectors: dict[Lease, Collector] = {}  # each guarded by the lock of its lease
        self._write_behind: WriteBehind | None = None
        self._mutex = threading.Lock()  # guards `_states`, `_write_behind` and all that follows
        self._halted = False  # until `restart`
        self._closed = False

    def resume(self, proof: Proof) -> None:
        """Begin with what an earlier run left."""
        self._states, self.sums = proof.states, proof.sums  # the states of the hash that the journal has
        self.ranges = RangeMap(proof.missing, proof.size, self._store)

    @property
    def frontier(self) -> int:
        """Every byte below is on disk and hashed."""
        write_behind = self._write_behind
        return write_behind.frontier if write_behind else self._states[-1][0]

    def readable(self, offset: int) -> int:
        """The first byte from `offset` on that cannot be read from the file yet."""
        end, write_behind = self.ranges.stored_from(offset), self._write_behind
        return write_behind.backlog.written_from(offset, end) if write_behind else end

    def buffer(self, lease: Lease) -> memoryview:
        """As `plan.Sink.buffer`."""
        with lease.lock:
            if lease.revoked:
                raise Revoked
            return self._collector(lease).lend(lease.pos, lease.end)

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        """As `plan.Sink.write`."""
        write_behind = self.begin()
        view = memoryview(data)
        taken = self.ranges.write(lease, len(view), lambda offset, taken: self._collect(lease, offset, view, taken))
        while not (lease.revoked or write_behind.backlog.wait_for_room(lease.stored, _ROOM_POLL_S)):
            pass
        return taken

    def _collector(self, lease: Lease) -> Collector:
        if lease not in self._collectors:
            self._collectors[lease] = Collector(self._buffers)
        return self._collectors[lease]

    def _collect(self, lease: Lease, offset: int, data: memoryview, length: int) -> None:
        """Add the first `length` bytes of `data`, which belong at `offset`, to the blocks of the lease."""
        collector, done = self._collector(lease), 0
        while done < length:
            done += collector.add(offset + done, data[done:], length - done)
            if collector.is_due:
                self._store(lease)

    def _store(self, lease: Lease) -> None:
        """Pass on what was collected of the lease, whose lock is held."""
        collector, write_behind = self._collectors.get(lease), self._write_behind
        block = collector.take() if collector else None
        if block and write_behind:
            write_behind.backlog.put(block)
            self.sums.add(block.offset, block.data, self.ranges.size)
            write_behind.backlog.used(block)
            lease.stored = block.end
            write_behind.backlog.accept(self.ranges.written)
        if lease.revoked:
            self._collectors.pop(lease, None)

    def place(self, start: int, end: int) -> None:
        """Take over bytes of free segments that another library wrote into the file. Raises: Revoked; StorageError."""
        write_behind = self.begin()
        for offset in range(start, end, BLOCK):
            self.sums.add(offset, read_at(write_behind.file.raw, min(BLOCK, end - offset), offset), self.ranges.size)
        self.ranges.place(start, end)
        write_behind.backlog.placed(end - start, self.ranges.written)

    def flush(self) -> None:
        """Pass on what was collected for long enough, of a connection that brings nothing more for now."""
        for lease, collector in list(self._collectors.items()):
            if collector.is_due:
                with lease.lock:
                    self._store(lease)

    def begin(self) -> WriteBehind:
        """Start the threads, if they do not run yet. Raises: Revoked, after `halt` or `close`; StorageError."""
        with self._mutex:
            if self._halted or self._closed or self._files.part is None:
                raise Revoked
            if self._write_behind is None:
                _ = self._files.part.raw  # opened here, not when the first block is written
                self._write_behind = WriteBehind(
                    self._files.part,
                    self._files.journal,
                    self._buffers,
                    self.sums,
                    self._states,
                    lambda: self.ranges.size,
                )
                self._write_behind.backlog.accept(self.ranges.written)
            return self._write_behind

    def check(self) -> None:
        """Raises: StorageError, when the part is unusable after a write error."""
        write_behind = self._write_behind
        if write_behind and write_behind.error:
            raise write_behind.error

    def finish(self, size: int, token: CancelToken) -> str:
        """Wait until all `size` bytes are hashed and synced; then end the threads.

        Returns: the SHA-256. Raises: Interrupted; StorageError.
        """
        digest = self.begin().finish(size, token)
        self._stop()
        self._buffers = Buffers()
        return digest

    def halt(self) -> None:
        """End all leases and all writing, after a write under way."""
        self.ranges.halt()
        with self._mutex:
            write_behind, self._write_behind = self._write_behind, None
            self._halted = True
        if write_behind:
            write_behind.stop(wait=True)

    def restart(self, missing: Sequence[Segment], size: int | None) -> None:
        """After `halt`: begin again with these segments missing; what the hash and the sums know of them is void."""
        first = min((segment.start for segment in missing), default=size or 0)
        with self._mutex:
            self._states = [state for state in self._states if state[0] <= first]
            self.sums.forget(missing)
            self._halted = False
        self.ranges.restart(missing, size)

    def forget(self, segments: Sequence[Segment], token: CancelToken) -> None:
        """Make these bytes count as missing again. Raises: Interrupted; StorageError."""
        self.ranges.halt()
        if self._write_behind:
            self._write_behind.finish(self.ranges.written, token)
        self.halt()
        self._files.journal.forget(segments)
        self.restart(merged([*self.ranges.missing, *segments]), self.ranges.size)

    def suspend(self, until: float, provable: bool) -> int:
        """Stop, and have as much as possible on disk and in the journal before `until` (`time.monotonic`).

        Args:
            provable: a digest proves the whole file in the end, so that bytes beyond the hash count, too.

        Returns: the bytes that the journal proves. Raises: StorageError, when the part is unusable after a write error.
        """
        self.ranges.halt()
        write_behind = self._write_behind
        if write_behind:
            with contextlib.suppress(TimeoutError):
                write_behind.finish(self.ranges.written, CancelToken(), until - _STOP_S)
            self._stop()
        proved = self._states[-1][0]
        return proved + (self.sums.recorded_beyond(proved, self.ranges.size) if provable and self.ranges.size else 0)

    def close(self) -> None:
        """End all leases and the threads, waiting for none."""
        self.ranges.close()
        with self._mutex:
            self._closed = True
        self._stop()
        self._collectors.clear()

    def _stop(self) -> None:
        with self._mutex:
            write_behind, self._write_behind = self._write_behind, None
        if write_behind:
            write_behind.stop()
