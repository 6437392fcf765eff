"""Memory for bytes on their way to the disk. It is reused: fresh pages cost as much time as a copy."""

from __future__ import annotations

import mmap
from collections import deque
from dataclasses import dataclass

from luci_dl.plan import BUFFER

SPARE = 4
"""Free buffers that are kept."""
SMALL = BUFFER // 64
"""Fewer bytes do not occupy a whole buffer while they wait: a slow connection brings thousands of such blocks."""


@dataclass
class Block:
    """`data` that belongs at `offset`; `users` have still to write or to hash it."""

    offset: int
    data: bytes | memoryview
    in_order: bool
    users: int


class Buffers:
    """Buffers that one thread takes and another one gives back. One that is not given back is freed as usual."""

    def __init__(self) -> None:
        self._spare: deque[mmap.mmap] = deque(maxlen=SPARE)

    def take(self) -> memoryview:
        """A buffer of `BUFFER` bytes with any content, aligned to a page."""
        try:
            return memoryview(self._spare.pop())
        except IndexError:
            return memoryview(mmap.mmap(-1, BUFFER))

    def pack(self, data: bytes | memoryview) -> bytes | memoryview:
        """The same bytes; if they are few, a copy of them, with their buffer given back."""
        if len(data) >= SMALL or isinstance(data, bytes):
            return data
        small = bytes(data)
        self.give_back(data)
        return small

    def used(self, block: Block) -> None:
        """One of the block's users is done; the last one gives its memory back. Not from two threads at a time."""
        block.users -= 1
        if not block.users:
            self.give_back(block.data)

    def give_back(self, data: bytes | memoryview) -> None:
        """Take back the buffer that `data` is the beginning of, if it is of a buffer at all."""
        if isinstance(data, memoryview) and isinstance(data.obj, mmap.mmap):
            self._spare.append(data.obj)
