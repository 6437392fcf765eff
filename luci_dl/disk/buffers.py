"""Memory for what is on its way to the disk: pages, used again and again, since new ones cost as much as a copy."""

from __future__ import annotations

import mmap
from collections import deque

from luci_dl.plan import BUFFER

SPARE = 4
"""Unused buffers that are kept."""
SMALL = BUFFER // 64
"""Fewer bytes do not keep a whole buffer while they wait: a slow line brings thousands of such blocks."""


class Buffers:
    """Takers and givers may be different threads. What is never given back, its last user takes with it."""

    def __init__(self) -> None:
        self._spare: deque[mmap.mmap] = deque(maxlen=SPARE)

    def take(self) -> memoryview:
        """A buffer of `BUFFER` bytes that begins at a page and holds anything."""
        try:
            return memoryview(self._spare.pop())
        except IndexError:
            return memoryview(mmap.mmap(-1, BUFFER))

    def pack(self, data: bytes | memoryview) -> bytes | memoryview:
        """The same bytes, of a buffer or of anything else; where they are few, in memory of their own."""
        if len(data) >= SMALL or isinstance(data, bytes):
            return data
        small = bytes(data)
        self.give_back(data)
        return small

    def give_back(self, data: bytes | memoryview) -> None:
        """Return `data` (part of a buffer, or of anything else), which is no longer read."""
        if isinstance(data, memoryview) and isinstance(data.obj, mmap.mmap):
            self._spare.append(data.obj)
