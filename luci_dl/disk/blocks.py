"""Fast digests of the blocks of a file. They show where it is damaged; only the SHA-256 of the whole proves it.

In journals and receipts they are texts: eight characters a block, hex digits or dashes for a block that is unknown.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator

from xxhash import xxh3_64

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.errors import StorageError
from luci_dl.plan import Segment

BLOCK = 1 << 20
"""Bytes of a block; the last one of a file may be shorter."""
KIND = "xxh3"
"""Their kind, which is what journals and receipts call their texts. Those of any other kind count as unknown."""
_MOST = 1 << 24  # blocks, 16 TiB
_UNKNOWN = -1
_DIGITS = 8
_MASK = 0xFFFF_FFFF  # so many bits of it are enough to find damage
_TEXT = re.compile(r"(?:[0-9a-f]{8}|-{8})*")


class Digest:
    """The digest of one block, whose bytes come in order. XXH3 takes a twelfth of the time of SHA-256."""

    def __init__(self, xxh3: xxh3_64 | None = None) -> None:
        self._xxh3 = xxh3 or xxh3_64()

    def update(self, data: bytes | memoryview) -> None:
        self._xxh3.update(data)

    def value(self) -> int:
        """The digest of all bytes so far."""
        return self._xxh3.intdigest() & _MASK

    def copy(self) -> Digest:
        return Digest(self._xxh3.copy())


def digest_of(data: bytes | memoryview) -> int:
    """The digest of a whole block."""
    digest = Digest()
    digest.update(data)
    return digest.value()


class Blocks:
    """The digests of the blocks of one file by their numbers, as far as they are known. Any thread may read."""

    def __init__(self) -> None:
        self._digests = array("q")

    @classmethod
    def from_text(cls, text: object, size: int) -> Blocks:
        """What `text` returned, for a file of `size` bytes; none of them known if it is anything else."""
        blocks = cls()
        blocks.read_text(0, text, size)
        return blocks

    def __len__(self) -> int:
        """One more than the number of the last block that may be known."""
        return len(self._digests)

    def __getitem__(self, number: int) -> int | None:
        digest = self._digests[number] if 0 <= number < len(self) else _UNKNOWN
        return None if digest == _UNKNOWN else digest

    def __setitem__(self, number: int, digest: int | None) -> None:
        if number >= len(self):
            self._digests.extend([_UNKNOWN] * (number + 1 - len(self)))
        self._digests[number] = _UNKNOWN if digest is None else digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocks) and self._digests == other._digests

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def known(self) -> int:
        """How many are known."""
        return len(self) - self._digests.count(_UNKNOWN)

    def complete(self, others: Blocks) -> None:
        """Take over the digests that are unknown here and known there."""
        for number, digest in enumerate(others._digests):
            if digest != _UNKNOWN and self[number] is None:
                self[number] = digest

    def unknown(self, size: int) -> list[Segment]:
        """The segments of a file of `size` bytes of which the digests are unknown."""
        return segments_of((number for number in range(count(size)) if self[number] is None), size)

    def forget(self, segment: Segment) -> None:
        """Make every block unknown that has a byte of the segment."""
        last = len(self) if segment.end is None else min(len(self), count(segment.end))
        for number in range(segment.start // BLOCK, last):
            self[number] = None

    def text(self, first: int = 0, end: int | None = None) -> str:
        """The digests of the blocks from `first` up to, not including, `end`, as `read_text` takes them."""
        return "".join("-" * _DIGITS if each == _UNKNOWN else f"{each:08x}" for each in self._digests[first:end])

    def read_text(self, first: object, text: object, size: int | None) -> bool:
        """Learn digests of the blocks from `first` on; False, and nothing learnt, if a file of `size` has no such."""
        if not (type(first) is int and isinstance(text, str) and _TEXT.fullmatch(text)):
            return False
        if not 0 <= first <= first + len(text) // _DIGITS <= (_MOST if size is None else count(size)):
            return False
        for number, at in enumerate(range(0, len(text), _DIGITS), first):
            if text[at] != "-":
                self[number] = int(text[at : at + _DIGITS], 16)
        return True

    def differing(self, found: Blocks) -> list[int]:
        """The numbers of the blocks that are known here and there, and are not the same."""
        pairs = enumerate(zip(self._digests, found._digests, strict=False))
        return [number for number, pair in pairs if _UNKNOWN not in pair and pair[0] != pair[1]]


class BlockHash:
    """Computes the digests of bytes that come in order; that of the last block is right when all have come.

    Attributes:
        last: of the block that the last bytes belong to.
    """

    def __init__(self) -> None:
        self.blocks = Blocks()
        self.last = Digest()
        self._offset = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        for number, inside, piece in by_block(self._offset, data):
            self.last = self.last if inside else Digest()
            self.last.update(piece)
            self.blocks[number] = self.last.value()
        self._offset += len(data)


def count(size: int) -> int:
    """How many blocks a file of `size` bytes has."""
    return -(-size // BLOCK)


def extent(number: int, size: int) -> tuple[int, int]:
    """Where a block of a file of `size` bytes begins and ends."""
    return number * BLOCK, min((number + 1) * BLOCK, size)


def by_block(offset: int, data: bytes | memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """The bytes at `offset` cut where blocks begin: the number of each block, where in it, and its bytes."""
    view = memoryview(data)
    while view:
        number, inside = divmod(offset, BLOCK)
        piece, view = view[: BLOCK - inside], view[BLOCK - inside :]
        yield number, inside, piece
        offset += len(piece)


def segments_of(numbers: Iterable[int], size: int) -> list[Segment]:
    """The segments of a file of `size` bytes that consist of the blocks with these numbers, neighbours in one."""
    segments: list[Segment] = []
    for number in sorted(numbers):
        start, end = extent(number, size)
        if segments and segments[-1].end == start:
            start = segments.pop().start
        segments.append(Segment(start, end))
    return segments


def damaged(
    file: fs.File,
    size: int,
    known: Blocks,
    token: CancelToken,
    checked: Callable[[int], None],
    right: Callable[[int, bytes], None] = lambda _number, _data: None,
) -> list[Segment]:
    """The segments of a file of `size` bytes that are not as `known` says; what is unknown there is not read.

    It is read beside the calling thread. What cannot be read is damaged.

    Args:
        checked: called in the calling thread, now and then, with the bytes so far.
        right: called in the other thread with the number and the bytes of each block that is as it should be.

    Raises: Interrupted; whatever `right` raises.
    """
    done = 0

    def work() -> list[Segment]:
        nonlocal done
        wrong: list[int] = []
        for number in range(min(len(known), count(size))):
            token.check()
            start, end = extent(number, size)
            if known[number] is not None:
                data = _read(file, start, end - start)
                if data and digest_of(data) == known[number]:
                    right(number, data)
                else:
                    wrong.append(number)
            done = end
        return segments_of(wrong, size)

    return run_cancellable(work, token, lambda: checked(done))


def fill_in(file: fs.File, size: int, blocks: Blocks, token: CancelToken) -> None:
    """Learn what is unknown of the blocks of a file of `size` bytes, which is on disk as it should be.

    It is read beside the calling thread. Raises: Interrupted; StorageError.
    """
    unknown = [number for number in range(count(size)) if blocks[number] is None]

    def work() -> None:
        for number in unknown:
            token.check()
            start, end = extent(number, size)
            blocks[number] = digest_of(fs.read_at(file, end - start, start))

    if unknown:
        run_cancellable(work, token)


def _read(file: fs.File, start: int, length: int) -> bytes:
    """Those bytes; fewer at the end of the file, none where the disk fails."""
    try:
        return fs.read_at(file, length, start)
    except StorageError:
        return b""
