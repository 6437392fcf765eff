"""The threads behind the workers: one writes the blocks, one hashes them, one syncs and journals.

What arrives in order, or not far ahead of that, is hashed from memory while it is written past the page cache. The rest
stays in the page cache, and one more thread reads it back, once, when the hash gets there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk import fs
from luci_dl.disk.backlog import SYNC_EVERY, Backlog, Sync
from luci_dl.disk.block_sums import BlockSums, runs_of
from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.buffers import Block, Buffers
from luci_dl.disk.guarded_file import GuardedFile
from luci_dl.disk.hashing import State
from luci_dl.disk.journal_writer import Journal
from luci_dl.errors import StorageError
from luci_dl.plan import Revoked


class WriteBehind:
    """Writes, hashes, syncs and journals one part, from the last of the `states` on.

    Args:
        states: the states of the hash that the journal has, in order; more are added.
        sums: the digests of the blocks; what has no whole one when it is read back is added.
        size: bytes of the file, once known.

    Attributes:
        file: to read from.
        backlog: takes the blocks.
    """

    def __init__(
        self,
        file: GuardedFile,
        journal: Journal,
        buffers: Buffers,
        sums: BlockSums,
        states: list[State],
        size: Callable[[], int | None],
    ) -> None:
        self.file = file
        self._journal = journal
        self._sums = sums
        self._states = states
        self._size = size
        self.backlog = Backlog(buffers, states[-1])
        self._reached = threading.Event()
        try:
            self._threads = [self._start(work) for work in (self._write, self._read, self._hash, self._sync)]
        except StorageError:
            self.stop()
            raise

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        return start_thread(lambda: self._guarded(work), f"luci{work.__name__}")

    @property
    def frontier(self) -> int:
        """Every byte below is on disk (synced or not) and hashed."""
        return min(self.backlog.state[0], self.backlog.on_disk)

    @property
    def error(self) -> Exception | None:
        """What failed in one of the threads; the part is unusable from then on."""
        return self.backlog.error

    def finish(self, goal: int, token: CancelToken, until: float | None = None) -> str:
        """Write and sync all that was put, hash up to `goal`, and journal both. Every byte below must be there.

        Args:
            until: when to stop waiting, by `time.monotonic`; None for never.

        Returns: the SHA-256 of all below. Raises: Interrupted; StorageError; TimeoutError.
        """
        self.backlog.set_goal(goal)

        def check_time() -> None:
            if until is not None and time.monotonic() >= until:
                raise TimeoutError

        token.wait_for(self._reached, check_time)
        if self.error:
            raise self.error
        if self.backlog.journaled != goal:
            raise RuntimeError(f"stopped at byte {self.backlog.journaled} on the way to {goal}")
        return self.backlog.state[1].hexdigest()

    def stop(self, *, wait: bool = False) -> None:
        """End the threads soon; and `wait` for what they are doing, so that nothing is written any more."""
        self.backlog.end()
        self._reached.set()
        if wait:
            for thread in self._threads:
                thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Revoked:  # the files were closed meanwhile
            return
        except Exception as error:  # noqa: BLE001 - raised again where the result is used
            self.backlog.end(error)
            self._reached.set()

    def _write(self) -> None:
        while block := self.backlog.next_to_write():
            self.file.write(block.data, block.offset, past_cache=block.hashed)
            self.backlog.written(block)

    def _read(self) -> None:
        """Read back what the hash needs next."""
        while block := self.backlog.next_to_read():
            self._read_back(block)
            self.backlog.was_read(block)

    def _read_back(self, block: Block) -> None:
        if fs.read_into(self.file.raw, block.data, block.offset) < len(block.data):
            raise StorageError(
                f"{self.file.path} was truncated while it was written",
                "Find out which program truncated it, and install again.",
            )
        number, inside = divmod(block.offset, BLOCK)
        if not inside and self._sums.blocks[number] is None:
            self._sums.add(block.offset, block.data, self._size())

    def _hash(self) -> None:
        sha = self._states[-1][1].copy()
        while block := self.backlog.next_to_hash():
            sha.update(block.data)
            self.backlog.hashed(block, sha.copy())

    def _sync(self) -> None:
        while sync := self.backlog.next_to_sync(lambda unwritten: self._sums.complete(unwritten, self._size())):
            self.file.sync()
            if self.backlog.stopped:
                return
            self._record(sync)
            self.backlog.synced(sync)
            if sync.is_last:
                self._reached.set()
                return

    def _record(self, sync: Sync) -> None:
        """Add what is synced to the journal."""
        offset, sha = sync.state
        goes_on = offset > self.backlog.journaled
        blocks = [(first, self._sums.blocks.text(first, end)) for first, end in runs_of(sync.numbers)]
        self._journal.record(blocks, (offset, sha.hexdigest()) if goes_on else None)
        self._sums.recorded(sync.numbers)
        if goes_on:
            if len(self._states) > 1 and offset - self._states[-2][0] < SYNC_EVERY:
                self._states.pop()  # one each SYNC_EVERY is enough, and there may be very many
            self._states.append((offset, sha))
