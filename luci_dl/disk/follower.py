"""The threads behind the frontier: one hashes what is there in order, one syncs it and writes the journal.

A block that arrives just at the end of what is promised to the hash is handed over in memory; what was written
further ahead is read back when the frontier comes there.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.journal import Journal
from luci_dl.errors import StorageError

SYNC_EVERY = 32 << 20
"""Bytes between two syncs, each of which puts a line into the journal."""
AHEAD = 192 << 20
"""Writing stops that many bytes ahead of the journal: no more is fetched again after a kill."""
QUEUE = 4 << 20
"""Bytes in memory that wait for the hash; beyond that the writers wait."""
BLOCK = 1 << 20
"""Bytes read back at a time."""


class Follower:
    """Hashes, syncs and journals one part from `start` on, where `sha` has seen every byte before.

    Attributes:
        frontier: every byte below is on disk (synced or not) and hashed.
        journaled: every byte below is synced, and the journal has its digest.
        error: what went wrong in a thread behind; the part is condemned then.
    """

    def __init__(self, file: fs.File, journal: Journal, start: int = 0, sha: hashlib._Hash | None = None) -> None:
        self.frontier = start
        self.journaled = start
        self.error: Exception | None = None
        self._file = file
        self._journal = journal
        self._sha = sha or hashlib.sha256()
        self._digest = self._sha.hexdigest()  # of what is below the frontier; changes together with it
        self._change = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._queued = 0  # bytes in _blocks
        self._promised = start  # end of what is hashed, queued, or being read back
        self._written = start  # every byte below is on disk
        self._goal: int | None = None  # where to make the last mark
        self._stopped = False
        self._reached = threading.Event()
        for work in (self._hash, self._sync):
            threading.Thread(target=self._guarded, args=(work,), name=f"luci{work.__name__}", daemon=True).start()

    def offer(self, offset: int, data: bytes, written: int) -> None:
        """`data` stands at `offset` now, and every byte below `written` is there."""
        with self._change:
            self._written = max(self._written, written)  # two writers may come in the other order
            if data and offset == self._promised and self._queued < QUEUE:
                self._blocks.append(data)
                self._queued += len(data)
                self._promised += len(data)
            self._change.notify_all()

    def has_room(self, end: int) -> bool:
        """True when a block that ends at `end` may be written now."""
        return self._queued < QUEUE and end <= self.journaled + AHEAD

    def wait_for_room(self, end: int, seconds: float) -> None:
        """Wait, but no longer than that, until `has_room`."""
        with self._change:
            self._change.wait_for(lambda: self._stopped or self.error or self.has_room(end), seconds)

    def finish(self, goal: int, token: CancelToken) -> str:
        """Hash, sync and mark up to `goal`, below which every byte must be written and beyond which none is.

        Returns: the SHA-256 of all of it. Raises: Interrupted; StorageError.
        """
        with self._change:
            self._goal = goal
            self._change.notify_all()
        token.wait_for(self._reached)
        if self.error:
            raise self.error
        if self.journaled != goal:
            raise RuntimeError(f"stopped at byte {self.journaled} on the way to {goal}")
        return self._digest

    def stop(self) -> None:
        """End the threads, soon: a line that is being written may still go to this follower's own journal."""
        with self._change:
            self._stopped = True
            self._blocks.clear()
            self._change.notify_all()
        self._reached.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised again where somebody asks for the result
            with self._change:
                self.error = error
                self._change.notify_all()
            self._reached.set()

    def _hash(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._stopped or self._blocks or self._written > self._promised)
                if self._stopped:
                    return
                data = self._blocks.popleft() if self._blocks else b""
                self._queued -= len(data)
                offset, length = self._promised, min(BLOCK, self._written - self._promised)
                if not data:
                    self._promised += length
            data = data or self._read_back(offset, length)
            self._sha.update(data)
            digest = self._sha.hexdigest()
            with self._change:
                self.frontier += len(data)
                self._digest = digest
                self._change.notify_all()

    def _read_back(self, offset: int, length: int) -> bytes:
        data = fs.read_at(self._file, length, offset)
        if len(data) < length:
            raise StorageError(
                f"{self._file.path} became shorter while it was written", "Find out who cut it, and install again."
            )
        return data

    def _sync(self) -> None:
        while not self._reached.is_set():
            with self._change:
                self._change.wait_for(lambda: self._stopped or self._sync_is_due())
                if self._stopped:
                    return
                offset, digest, goal = self.frontier, self._digest, self._goal
            fs.sync_data(self._file)
            if offset > self.journaled and not self._stopped:
                self._journal.mark(offset, digest)
            with self._change:
                self.journaled = offset
                self._change.notify_all()
            if offset == goal:
                self._reached.set()

    def _sync_is_due(self) -> bool:
        return self.frontier == self._goal or self.frontier - self.journaled >= SYNC_EVERY
