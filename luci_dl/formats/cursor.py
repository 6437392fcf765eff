"""Reads the bytes of a header in order: with a small window in memory, and never beyond the end of the file."""

from __future__ import annotations

import struct

from luci_dl.formats.reading import Damaged, ReadAt, Unsupported

WINDOW = 1 << 20
MAX_HEADER = 64 << 20
"""Size limit of a header; with a vocabulary of 260,000 words it has about 10 MB."""


class Cursor:
    """Reads numbers and strings in order. Its methods raise Damaged and Unsupported.

    Args:
        size: of the file, in bytes.
        wide: lengths take eight bytes, not four.
    """

    def __init__(self, read_at: ReadAt, size: int, pos: int, *, big_endian: bool, wide: bool) -> None:
        self._read_at = read_at
        self._size = size
        self._buffer = b""
        self._start = 0  # of the buffer in the file
        self._order = ">" if big_endian else "<"
        self._length = struct.Struct(self._order + ("Q" if wide else "I"))
        self.pos = pos

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        return self._size - self.pos

    def number(self, form: str) -> int | float:
        """A number in a format of `struct`."""
        value: int | float = struct.unpack(self._order + form, self._take(struct.calcsize("<" + form)))[0]
        return value

    def u32(self) -> int:
        return int(self.number("I"))

    def u64(self) -> int:
        return int(self.number("Q"))

    def length(self) -> int:
        """A count of items, or the length of a dimension."""
        return int(self._length.unpack(self._take(self._length.size))[0])

    def text(self, at_most: int) -> str:
        """A string, or the part of it that fits into so many bytes."""
        length = self.length()
        kept = self._take(min(length, at_most))
        self.skip(length - len(kept))
        return kept.decode(errors="replace")

    def skip(self, count: int) -> None:
        self.pos += count
        self._check()

    def skip_strings(self, count: int) -> None:
        """Skip strings without creating them: a vocabulary has hundreds of thousands."""
        unpack, width = self._length.unpack_from, self._length.size
        while count:
            self._need(width)
            buffer, at = self._buffer, self.pos - self._start
            last = len(buffer) - width
            while count and at <= last:
                at += width + unpack(buffer, at)[0]
                count -= 1
            self.pos = self._start + at
            self._check()

    def _take(self, count: int) -> bytes:
        self._need(count)
        at = self.pos - self._start
        self.pos += count
        return self._buffer[at : at + count]

    def _need(self, count: int) -> None:
        """Fill the buffer so that it has the next `count` bytes, at most a window."""
        at = self.pos - self._start
        if at + count <= len(self._buffer):
            return
        if count > self.left:
            raise Damaged("its header extends beyond its end")
        self._buffer, self._start = self._read_at(min(WINDOW, self.left), self.pos), self.pos
        if len(self._buffer) < count:
            raise Damaged("it was truncated while it was read")

    def _check(self) -> None:
        if self.pos > self._size:
            raise Damaged("its header extends beyond its end")
        if self.pos > MAX_HEADER:
            raise Unsupported(f"its header has more than {MAX_HEADER >> 20} MiB")
