"""The bytes of a part: which worker may write which range, and the threads that write and hash behind them."""

from __future__ import annotations

import hashlib
import threading

from luci_dl.cancel import CancelToken
from luci_dl.disk.buffers import Buffers
from luci_dl.disk.part_files import PartFiles
from luci_dl.disk.range_map import RangeMap
from luci_dl.disk.write_behind import WriteBehind
from luci_dl.plan import Lease, Revoked

_ROOM_POLL_S = 0.1
_STOP_S = 0.2  # of the time to suspend, to close the files after the last checkpoint


class PartWriter:
    """Takes the bytes of any number of workers. Its own threads run from the first byte to `finish`."""

    def __init__(self, files: PartFiles) -> None:
        self.ranges = RangeMap(0, None)
        self.buffers = Buffers()
        self._files = files
        self._start: tuple[int, hashlib._Hash] = 0, hashlib.sha256()  # where to begin, and the hash of what is below
        self._write_behind: WriteBehind | None = None
        self._mutex = threading.Lock()  # guards all that follows and the two above
        self._halted = False  # until `restart`
        self._closed = False

    def resume(self, offset: int, sha: hashlib._Hash, size: int | None) -> None:
        """Begin at `offset`; `sha` covers all bytes before it."""
        self._start = offset, sha
        self.ranges = RangeMap(offset, size)

    @property
    def frontier(self) -> int:
        """Every byte below is on disk and hashed."""
        write_behind = self._write_behind
        return write_behind.frontier if write_behind else self._start[0]

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        """As `plan.Sink.write`."""
        data = self.buffers.pack(data)
        write_behind = self.begin()
        while not lease.revoked and not write_behind.wait_for_room(lease.pos + len(data), _ROOM_POLL_S):
            pass

        def put(offset: int, taken: int) -> None:
            write_behind.put(offset, data[:taken])

        taken, accepted = self.ranges.write(lease, len(data), put)
        write_behind.accept(accepted)
        return taken

    def begin(self) -> WriteBehind:
        """Start the threads, if they do not run yet. Raises: Revoked, after `halt` or `close`; StorageError."""
        with self._mutex:
            if self._halted or self._closed or self._files.part is None:
                raise Revoked
            if self._write_behind is None:
                start, sha = self._start
                _ = self._files.part.raw  # opened here, not when the first block is written
                self._write_behind = WriteBehind(self._files.part, self._files.journal, self.buffers, start, sha)
            return self._write_behind

    def read_back(self) -> None:
        """Start to hash a file that has all its bytes already."""
        self.begin().accept(self.ranges.written)

    def check(self) -> None:
        """Raises: StorageError, when the part is unusable after a write error."""
        write_behind = self._write_behind
        if write_behind and write_behind.error:
            raise write_behind.error

    def finish(self, size: int, token: CancelToken) -> str:
        """Wait until all `size` bytes are hashed and synced; then end the threads.

        Returns: the SHA-256. Raises: Interrupted; StorageError.
        """
        write_behind = self.begin()
        write_behind.accept(self.ranges.written)
        digest = write_behind.finish(size, token)
        self._stop()
        self._start = size, hashlib.sha256()  # hashing is complete
        self.buffers = Buffers()
        return digest

    def halt(self) -> None:
        """End all leases and all writing, after a write under way. No byte counts any more."""
        self.ranges.halt()
        with self._mutex:
            write_behind, self._write_behind = self._write_behind, None
            self._start, self._halted = (0, hashlib.sha256()), True
        if write_behind:
            write_behind.stop(wait=True)

    def restart(self, size: int | None) -> None:
        """After `halt`: begin again at byte 0."""
        with self._mutex:
            self._halted = False
        self.ranges.restart(size)

    def suspend(self, until: float) -> int:
        """Stop, and have as much as possible on disk and in the journal before `until` (`time.monotonic`).

        Returns: the bytes that the journal proves. Raises: StorageError, when the part is unusable after a write error.
        """
        self.ranges.halt()
        write_behind = self._write_behind
        if write_behind is None:
            return self._start[0]
        try:
            kept = self.ranges.written
            write_behind.finish(kept, CancelToken(), until - _STOP_S)
        except TimeoutError:
            kept = write_behind.journaled
        self._stop()
        return kept

    def close(self) -> None:
        """End all leases and the threads, waiting for none."""
        self.ranges.close()
        with self._mutex:
            self._closed = True
        self._stop()

    def _stop(self) -> None:
        with self._mutex:
            write_behind, self._write_behind = self._write_behind, None
        if write_behind:
            write_behind.stop()
