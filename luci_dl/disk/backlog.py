"""The blocks on their way from the workers to the disk and the hash, and how far each of these is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable

from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.buffers import Block, Buffers
from luci_dl.disk.hashing import State
from luci_dl.frozen import frozen
from luci_dl.plan import WINDOW

SYNC_EVERY = 32 << 20
"""Bytes between two syncs, at most."""
SYNC_S = 1.0
"""Seconds between two syncs, at most, while bytes come: what is not in the journal is fetched again after a kill."""
SOON_S, SOON_SHARE, SYNCING = 0.1, 64, 0.1
"""A sync comes sooner, but not before so many seconds, once there is this fraction more than the journal has: so that
a kill costs little of small files, too. Syncs for that reason take this share of the time at most."""
AHEAD = WINDOW
"""Bytes that may be written beyond the last checkpoint."""
QUEUE = 5 << 20
"""Bytes in memory that wait for one of the threads; beyond that the workers wait."""
NEAR = 6 << 20
"""Blocks up to so far ahead stay in memory until the hash gets there."""
READ_AHEAD = 4 << 20
"""Bytes that are read back before the hash needs them."""


@frozen
class Sync:
    """What the next sync makes sure.

    Attributes:
        state: of the hash; all bytes before it are written.
        numbers: of the blocks whose digest is known and that are written, and that the journal does not have.
        is_last: all is hashed that was to be hashed, and nothing waits.
    """

    state: State
    numbers: list[int]
    is_last: bool


class Backlog:
    """Any thread may `put`; one each writes, reads back, hashes and syncs: it gets the next block, then gives it back.

    Those who get None shall end.

    Attributes:
        journaled: every byte below is synced, and the journal has its digest.
        error: what failed in one of the threads.
        state: how far the hash is.
        on_disk: every byte below was written.
    """

    def __init__(self, buffers: Buffers, state: State) -> None:
        self.journaled = self.on_disk = state[0]
        self.state = state
        self.error: Exception | None = None
        self.stopped = False
        self._buffers = buffers
        self._lock = threading.Lock()  # guards all below; each condition wakes only the threads that wait for it
        self._write_next = threading.Condition(self._lock)
        self._read_next = threading.Condition(self._lock)
        self._hash_next = threading.Condition(self._lock)
        self._sync_next = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._to_write: deque[Block] = deque()  # the first stays until it is on disk
        self._to_hash: dict[int, Block] = {}  # by offset
        self._unwritten = 0  # bytes in _to_write
        self._queued = 0  # bytes below _promised that arrived and are not hashed
        self._read = 0  # bytes below _promised that are being read back, or were and are not hashed
        self._promised = state[0]  # end of what is hashed, in memory, or being read back
        self._accepted = state[0]  # every byte below was put
        self._far = 0  # bytes written far ahead of the hash since the last sync began
        self._last_sync = time.monotonic()  # when it began
        self._pause = SOON_S  # until the next one
        self._goal: int | None = None  # where to make the last checkpoint

    def put(self, block: Block) -> None:
        """Take a block. It is hashed from memory if the hash gets there soon; else it is read back later.

        Its memory stays the caller's, too, until `used`.
        """
        with self._lock:
            block.hashed = block.offset == self._promised or block.end <= self._promised + NEAR
            block.users = 3 if block.hashed else 2
            self._to_write.append(block)
            self._unwritten += len(block.data)
            if block.hashed:
                self._to_hash[block.offset] = block
                self._promise()
            self._write_next.notify()

    def used(self, block: Block) -> None:
        """Who put the block needs its memory no more."""
        with self._lock:
            self._buffers.used(block)

    def accept(self, end: int) -> None:
        """Record that all bytes below `end` were put."""
        with self._lock:
            self._accepted = max(self._accepted, end)  # two workers may call in the other order
            self._advance()

    def placed(self, length: int, end: int) -> None:
        """Record that `length` bytes were written by somebody else, and that all below `end` were put. They are read
        back for the hash."""
        with self._lock:
            self._far += length
        self.accept(end)

    def wait_for_room(self, end: int, seconds: float) -> bool:
        """Wait, but no longer than that, until more blocks may be put, as far as `end`.

        Returns: whether they may. Raises: StorageError.
        """
        if not self._has_room(end):
            with self._room:
                self._room.wait_for(lambda: self.stopped or self.error or self._has_room(end), seconds)
        if self.error:
            raise self.error
        return self._has_room(end)

    def _has_room(self, end: int) -> bool:
        return max(self._queued, self._unwritten) < QUEUE and end <= self.journaled + AHEAD

    def _promise(self) -> None:
        """Count the blocks in memory that are in order now."""
        while block := self._to_hash.get(self._promised):
            self._promised = block.end
            self._queued += len(block.data)
        self._hash_next.notify()

    def _advance(self) -> None:
        """Record what is on disk, and wake those who have something to do now."""
        self.on_disk = min([self._accepted, *(block.offset for block in self._to_write)])
        if self._to_read():
            self._read_next.notify()
        if self._sync_is_due():
            self._sync_next.notify()

    def next_to_write(self) -> Block | None:
        with self._write_next:
            self._write_next.wait_for(lambda: self.stopped or self._to_write)
            return None if self.stopped else self._to_write[0]

    def written(self, block: Block) -> None:
        with self._lock:
            self._to_write.popleft()
            self._unwritten -= len(block.data)
            self._far += 0 if block.hashed else len(block.data)
            self._buffers.used(block)
            self._room.notify_all()
            self._advance()

    def written_from(self, offset: int, end: int) -> int:
        """The first byte from `offset` on that was put and is not on disk; `end` without one before that."""
        with self._lock:
            return min([end, *(max(block.offset, offset) for block in self._to_write if block.end > offset)])

    def next_to_read(self) -> Block | None:
        """A block that must be read back, still empty. From then on the hash waits for it."""
        with self._read_next:
            self._read_next.wait_for(lambda: self.stopped or self._to_read())
            if self.stopped:
                return None
            length = self._to_read()
            block = Block(self._promised, self._buffers.take(BLOCK)[:length], arrived=False)
            self._promised += length
            self._read += length
            self._promise()
            return block

    def _to_read(self) -> int:
        """Bytes to read back now: within one block of the file, and up to what is in memory."""
        if self._read >= READ_AHEAD or self.on_disk <= self._promised:
            return 0
        ahead = (offset for offset in self._to_hash if offset > self._promised)
        return min(self.on_disk, *ahead, self._promised - self._promised % BLOCK + BLOCK) - self._promised

    def was_read(self, block: Block) -> None:
        with self._lock:
            self._to_hash[block.offset] = block
            self._hash_next.notify()

    def next_to_hash(self) -> Block | None:
        with self._hash_next:
            self._hash_next.wait_for(lambda: self.stopped or self.state[0] in self._to_hash)
            return None if self.stopped else self._to_hash.pop(self.state[0])

    def hashed(self, block: Block, sha: hashlib._Hash) -> None:
        with self._lock:
            self.state = block.end, sha
            if block.arrived:
                self._queued -= len(block.data)
                self._room.notify_all()
            else:
                self._read -= len(block.data)
                if self._to_read():
                    self._read_next.notify()
            self._buffers.used(block)
            if self._sync_is_due():
                self._sync_next.notify()

    def next_to_sync(self, complete: Callable[[list[tuple[int, int]]], list[int]]) -> Sync | None:
        """What to sync. `complete` returns the `numbers`, but for blocks with bytes in the ranges that it gets."""
        with self._sync_next:
            self._sync_next.wait_for(lambda: self.stopped or self._sync_is_due())
            state, is_last = self.state, self._is_at_goal()
            self._sync_next.wait_for(lambda: self.stopped or self.error or self.on_disk >= state[0])
            if self.stopped or self.error:
                return None
            self._far, self._last_sync = 0, time.monotonic()
            return Sync(state, complete([(block.offset, block.end) for block in self._to_write]), is_last)

    def synced(self, sync: Sync) -> None:
        """Also: in the journal."""
        with self._lock:
            self.journaled = sync.state[0]
            self._pause = max(SOON_S, (time.monotonic() - self._last_sync) / SYNCING)
            self._room.notify_all()

    def _sync_is_due(self) -> bool:
        news = max(self._far, self.state[0] - self.journaled)
        if self._is_at_goal() or news >= SYNC_EVERY or not news:
            return self._is_at_goal() or news > 0
        passed = time.monotonic() - self._last_sync
        return passed >= SYNC_S or (passed >= self._pause and news >= self.journaled // SOON_SHARE)

    def _is_at_goal(self) -> bool:
        return self.state[0] == self._goal and not self._to_write

    def set_goal(self, goal: int) -> None:
        """Make the last sync when all is hashed up to there, and all that was put is written."""
        with self._lock:
            self._goal = goal
            self._sync_next.notify()

    def end(self, error: Exception | None = None) -> None:
        """Make all threads end, or, with an error, those that wait for another one."""
        with self._lock:
            self.error = self.error or error
            self.stopped = self.stopped or not error
            if self.stopped:
                self._to_hash.clear()
            for each in (self._write_next, self._read_next, self._hash_next, self._sync_next, self._room):
                each.notify_all()
