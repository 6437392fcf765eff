"""Memory for bytes on their way to the disk. It is reused: fresh pages cost as much time as a copy."""

from __future__ import annotations

import mmap
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

LARGE = 4 << 20
"""Bytes of the largest blocks. Disks are faster with large ones."""
SMALL = 256 << 10
"""Bytes of the smallest ones."""
COLLECTED = 8 << 20
"""Bytes of all blocks of the process that are being filled, about: with many leases each has a smaller one."""
COLLECT_S = 0.1
"""Seconds for which a block is filled: what waits in memory is lost by a kill, and nobody can read it."""
SPARE = 12 << 20
"""Bytes of free buffers that are kept, about: as many as are used at a time with many leases."""


@dataclass
class Block:
    """`data` that belongs at `offset`.

    Attributes:
        users: how many threads still need its memory.
        hashed: from memory, not read back from the disk later.
        arrived: from a worker; else it was read back.
        reusable: nobody else has its memory.
    """

    offset: int
    data: memoryview
    users: int = 1
    hashed: bool = True
    arrived: bool = True
    reusable: bool = True

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


class Buffers:
    """Buffers that one thread takes and another one gives back. One that is not given back is freed as usual."""

    def __init__(self) -> None:
        self._spare: dict[int, deque[mmap.mmap]] = {}  # by size

    def take(self, size: int) -> memoryview:
        """A buffer of `size` bytes with any content, aligned to a page."""
        try:
            return memoryview(self._spare[size].pop())
        except LookupError:
            return memoryview(mmap.mmap(-1, size))

    def used(self, block: Block) -> None:
        """One of the block's users is done; the last one gives its memory back. Not from two threads at a time."""
        block.users -= 1
        memory = block.data.obj
        if not block.users and block.reusable and isinstance(memory, mmap.mmap):
            self._spare.setdefault(len(memory), deque()).append(memory)
            while sum(size * len(spare) for size, spare in self._spare.items()) > SPARE:
                with suppress(ValueError, IndexError):  # others take some meanwhile
                    self._spare[max(size for size, spare in self._spare.items() if spare)].pop()


class Collector:
    """Collects the bytes of one lease into blocks, which end at multiples of their size."""

    _all: ClassVar[weakref.WeakSet[Collector]] = weakref.WeakSet()  # of the process, whose memory they share

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._memory = memoryview(b"")
        self._offset = self._length = self._room = 0
        self._lent = False  # a worker may be reading into the memory behind the bytes that are there
        self._began = 0.0  # when the first of them came
        self._all.add(self)

    def lend(self, offset: int, end: int | None) -> memoryview:
        """Memory for the bytes from `offset` on, of a segment that ends at `end`.

        It has room for one byte more than a segment that ends with the block: that shows that a file is too long.
        """
        self._begin(offset)
        self._lent = True
        return self._memory[self._length : self._length + self._room + (end == offset + self._room)]

    def add(self, offset: int, data: memoryview, length: int) -> int:
        """Add up to `length` bytes of `data`, as far as there is room. They are copied, unless they were read in place.

        Returns: how many were added.
        """
        self._begin(offset)
        length = min(length, self._room)
        if data.obj is not self._memory.obj:
            self._memory[self._length : self._length + length] = data[:length]
        self._lent = length < len(data)
        self._began = self._began if self._length else time.monotonic()
        self._length += length
        self._room -= length
        return length

    @property
    def is_due(self) -> bool:
        """Whether the block is full, or took long enough."""
        return not self._room or (self._length > 0 and time.monotonic() >= self._began + COLLECT_S)

    def take(self) -> Block | None:
        """The bytes so far, if there are any. The next ones get other memory."""
        length, self._length, self._room = self._length, 0, 0
        return Block(self._offset, self._memory[:length], reusable=not self._lent) if length else None

    def _begin(self, offset: int) -> None:
        if self._length or self._room:
            return
        size, share = LARGE, COLLECTED // len(self._all)
        while size > SMALL and size > share:
            size //= 2
        self._memory, self._offset, self._room = self._buffers.take(size + mmap.PAGESIZE), offset, size - offset % size
