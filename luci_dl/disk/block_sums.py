"""The digests of a file's blocks while its bytes arrive, and which of them the journal may get."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable

from luci_dl.disk.blocks import BLOCK, Blocks, Digest, by_block, count, extent
from luci_dl.plan import Segment

LONGEST = 512
"""Blocks in one line of the journal, at most."""


class BlockSums:
    """Takes the bytes of a file in any order of blocks, from any threads.

    Those of one block have to come in order, else it is unknown.

    Attributes:
        blocks: the digests of the blocks of which all bytes came.
    """

    def __init__(self) -> None:
        self.blocks = Blocks()
        self._fresh: set[int] = set()  # the numbers of those that the journal does not have
        self._begun: dict[int, tuple[int, Digest]] = {}  # by number: the next offset, and the digest of what is before
        self._lock = threading.Lock()  # guards all of it, but for reading `blocks`

    def add(self, offset: int, data: bytes | memoryview, size: int | None) -> None:
        """Take the bytes at `offset` of a file of `size` bytes."""
        for number, inside, piece in by_block(offset, data):
            start = number * BLOCK + inside
            end = start + len(piece)
            digest = self._before(number, start) if inside else Digest()
            if digest:
                digest.update(piece)
                if end % BLOCK and end != size:
                    self.begin(end, digest)
                else:
                    self.learn(number, digest.value())

    def _before(self, number: int, offset: int) -> Digest | None:
        """The digest of the bytes of the block up to `offset`, if all of them came."""
        with self._lock:
            end, digest = self._begun.get(number, (-1, None))
            if end != offset:
                return None
            del self._begun[number]
            return digest

    def begin(self, offset: int, digest: Digest) -> None:
        """Take the digest of the bytes of a block up to the offset, which is where its next bytes will be added."""
        number = offset // BLOCK
        with self._lock:
            if offset % BLOCK and self.blocks[number] is None:
                self._begun[number] = offset, digest

    def learn(self, number: int, digest: int, *, fresh: bool = True) -> None:
        """Take the digest of a whole block; it is not `fresh` if the journal has it."""
        with self._lock:
            self.blocks[number] = digest
            if fresh:
                self._fresh.add(number)

    def forget(self, segments: Iterable[Segment]) -> None:
        """Make the blocks unknown that have bytes in these segments."""
        with self._lock:
            for segment in segments:
                self.blocks.forget(segment)
            self._fresh = {number for number in self._fresh if self.blocks[number] is not None}
            self._begun.clear()

    def complete(self, unwritten: Iterable[tuple[int, int]], size: int | None) -> list[int]:
        """The numbers, in order, of the blocks that the journal does not have and that have no bytes in the ranges."""
        last = self._before(size // BLOCK, size) if size is not None else None
        if size is not None and last:  # that the file ends there was not known before
            self.learn(size // BLOCK, last.value())
        waiting = {number for start, end in unwritten for number in range(start // BLOCK, count(end))}
        with self._lock:
            return sorted(self._fresh - waiting)

    def recorded(self, numbers: Iterable[int]) -> None:
        """Take note that the journal has these blocks."""
        with self._lock:
            self._fresh.difference_update(numbers)

    def recorded_beyond(self, offset: int, size: int) -> int:
        """Bytes beyond the offset in blocks that the journal has."""
        with self._lock:
            return known_beyond(self.blocks, offset, size, self._fresh)


def known_beyond(blocks: Blocks, offset: int, size: int, apart_from: Container[int] = ()) -> int:
    """Bytes of a file of `size` bytes beyond the offset, in blocks with a known digest."""
    numbers = range(offset // BLOCK, min(len(blocks), count(size)))
    known = (extent(number, size) for number in numbers if blocks[number] is not None and number not in apart_from)
    return sum(end - max(start, offset) for start, end in known)


def runs_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """The runs of neighbours in sorted numbers, up to `LONGEST` each: the first, and one more than the last."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number < runs[-1][0] + LONGEST:
            runs[-1] = runs[-1][0], number + 1
        else:
            runs.append((number, number + 1))
    return runs
