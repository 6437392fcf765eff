"""The threads behind the workers: one writes the blocks, one hashes them in order, one syncs and keeps the journal.

A block that arrives in order is hashed from memory while it is written; one that arrives ahead of that is read back
when the hash gets there.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk import fs
from luci_dl.disk.buffers import Block, Buffers
from luci_dl.disk.guarded_file import GuardedFile
from luci_dl.disk.journal import Journal
from luci_dl.errors import StorageError
from luci_dl.plan import Revoked

SYNC_EVERY = 32 << 20
"""Bytes between two syncs; each adds a checkpoint to the journal."""
AHEAD = 1 << 30
"""Bytes that may be written beyond the last checkpoint: no more is fetched again after a kill."""
QUEUE = 5 << 20
"""Bytes in memory that wait for the hash, and for the disk; beyond that the workers wait."""
BLOCK = 1 << 20
"""Bytes read back at a time."""


class WriteBehind:
    """Writes, hashes, syncs and journals one part from `start` on; `sha` covers all bytes before `start`.

    Attributes:
        journaled: every byte below is synced, and the journal has its digest.
        error: what failed in one of the threads; the part is unusable from then on.
    """

    def __init__(
        self, file: GuardedFile, journal: Journal, buffers: Buffers, start: int = 0, sha: hashlib._Hash | None = None
    ) -> None:
        self.journaled = start
        self.error: Exception | None = None
        self._file = file
        self._journal = journal
        self._buffers = buffers
        self._sha = sha or hashlib.sha256()
        self._hashed = start
        self._digest = self._sha.hexdigest()  # of what is below `_hashed`; the two change together
        self._lock = threading.Lock()  # guards all below; each condition wakes only the threads that wait for it
        self._write_next = threading.Condition(self._lock)
        self._hash_next = threading.Condition(self._lock)
        self._sync_next = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._to_write: deque[Block] = deque()  # the first stays until it is on disk
        self._to_hash: deque[Block] = deque()
        self._unwritten = 0  # bytes in _to_write
        self._queued = 0  # bytes in _to_hash
        self._promised = start  # end of what is hashed, queued, or being read back
        self._accepted = start  # every byte below was queued
        self._on_disk = start  # every byte below was written
        self._goal: int | None = None  # where to make the last checkpoint
        self._stopped = False
        self._reached = threading.Event()
        try:
            self._threads = [self._start(work) for work in (self._write, self._hash, self._sync)]
        except StorageError:
            self.stop()
            raise

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        return start_thread(lambda: self._guarded(work), f"luci{work.__name__}")

    @property
    def frontier(self) -> int:
        """Every byte below is on disk (synced or not) and hashed."""
        return min(self._hashed, self._on_disk)

    def put(self, offset: int, data: bytes | memoryview) -> None:
        """Queue `data` to be written at `offset`."""
        with self._lock:
            in_order = offset == self._promised and self._queued < QUEUE
            block = Block(offset, data, in_order, 2 if in_order else 1)
            self._to_write.append(block)
            self._unwritten += len(data)
            if in_order:
                self._to_hash.append(block)
                self._queued += len(data)
                self._promised += len(data)
                self._hash_next.notify()
            self._write_next.notify()

    def accept(self, end: int) -> None:
        """Record that all bytes below `end` were queued."""
        with self._lock:
            self._accepted = max(self._accepted, end)  # two workers may call in the other order
            self._advance()

    def wait_for_room(self, end: int, seconds: float) -> bool:
        """Wait, but no longer than that, until a block that ends at `end` may be put.

        Returns: whether it may. Raises: StorageError.
        """
        if not self._has_room(end):
            with self._room:
                self._room.wait_for(lambda: self._stopped or self.error or self._has_room(end), seconds)
        if self.error:
            raise self.error
        return self._has_room(end)

    def _has_room(self, end: int) -> bool:
        return self._queued < QUEUE and self._unwritten < QUEUE and end <= self.journaled + AHEAD

    def finish(self, goal: int, token: CancelToken, until: float | None = None) -> str:
        """Write, hash, sync and journal up to `goal`. Every byte below must be put, and none beyond.

        Args:
            until: when to stop waiting, by `time.monotonic`; None for never.

        Returns: the SHA-256 of all of it. Raises: Interrupted; StorageError; TimeoutError.
        """
        with self._lock:
            self._goal = goal
            self._sync_next.notify()

        def check_time() -> None:
            if until is not None and time.monotonic() >= until:
                raise TimeoutError

        token.wait_for(self._reached, check_time)
        if self.error:
            raise self.error
        if self.journaled != goal:
            raise RuntimeError(f"stopped at byte {self.journaled} on the way to {goal}")
        return self._digest

    def stop(self, *, wait: bool = False) -> None:
        """End the threads soon; and `wait` for a write under way, so that nothing is written any more."""
        with self._lock:
            self._stopped = True
            self._to_hash.clear()
            self._notify_all()
        self._reached.set()
        if wait:
            self._threads[0].join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Revoked:  # the files were closed meanwhile
            return
        except Exception as error:  # noqa: BLE001 - raised again where the result is used
            with self._lock:
                self.error = error
                self._notify_all()
            self._reached.set()

    def _notify_all(self) -> None:
        for condition in (self._write_next, self._hash_next, self._sync_next, self._room):
            condition.notify_all()

    def _write(self) -> None:
        while True:
            with self._write_next:
                self._write_next.wait_for(lambda: self._stopped or self._to_write)
                if self._stopped:
                    return
                block = self._to_write[0]
            self._file.write(block.data, block.offset, past_cache=block.in_order)
            with self._lock:
                self._to_write.popleft()
                self._unwritten -= len(block.data)
                self._room.notify_all()
                self._advance()
                self._buffers.used(block)

    def _advance(self) -> None:
        self._on_disk = min([self._accepted, *(block.offset for block in self._to_write)])
        if self._on_disk > self._promised:
            self._hash_next.notify()
        self._sync_next.notify()

    def _hash(self) -> None:
        while True:
            with self._hash_next:
                self._hash_next.wait_for(lambda: self._stopped or self._to_hash or self._on_disk > self._promised)
                if self._stopped:
                    return
                block = self._to_hash.popleft() if self._to_hash else None
                offset, length = self._promised, min(BLOCK, self._on_disk - self._promised)
                if not block:
                    self._promised += length
            data = block.data if block else self._read_back(offset, length)
            self._sha.update(data)
            digest = self._sha.hexdigest()
            with self._lock:
                self._hashed += len(data)
                self._digest = digest
                if block:
                    self._queued -= len(data)
                    self._buffers.used(block)
                    self._room.notify_all()
                if self._sync_is_due():
                    self._sync_next.notify()

    def _read_back(self, offset: int, length: int) -> bytes:
        data = fs.read_at(self._file.raw, length, offset)
        if len(data) < length:
            raise StorageError(
                f"{self._file.path} was truncated while it was written",
                "Find out which program truncated it, and install again.",
            )
        return data

    def _sync(self) -> None:
        while not self._reached.is_set():
            with self._sync_next:
                self._sync_next.wait_for(lambda: self._stopped or self._sync_is_due())
                if self._stopped:
                    return
                offset, digest, goal = self._hashed, self._digest, self._goal
            if not self._wait_on_disk(offset):
                return
            self._file.sync()
            if self._stopped:
                return
            if offset > self.journaled:
                self._journal.checkpoint(offset, digest)
            with self._lock:
                self.journaled = offset
                self._room.notify_all()
            if offset == goal:
                self._reached.set()

    def _wait_on_disk(self, end: int) -> bool:
        """Wait until every byte below `end` is written; False if that cannot happen any more (stopped or failed)."""
        with self._sync_next:
            self._sync_next.wait_for(lambda: self._stopped or self.error or self._on_disk >= end)
            return not (self._stopped or self.error)

    def _sync_is_due(self) -> bool:
        return self._hashed == self._goal or self._hashed - self.journaled >= SYNC_EVERY
