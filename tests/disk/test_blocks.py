"""Digests of blocks: as texts, of bytes in order, and compared with what a file has."""

from __future__ import annotations

import errno
import os
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.blocks import BLOCK, BlockHash, Blocks, count, damaged, fill_in, segments_of
from luci_dl.errors import Interrupted
from luci_dl.plan import Segment
from tests.disk.hands import xxh3_of

SIZE = 3 * BLOCK + 100
DATA = random.Random(10).randbytes(SIZE)


def blocks_of(data: bytes) -> Blocks:
    """The digests of all its blocks."""
    hash_ = BlockHash()
    hash_.update(data)
    return hash_.blocks


@given(st.lists(st.none() | st.integers(0, (1 << 32) - 1)))
def test_a_text_says_what_the_blocks_said(digests: list[int | None]) -> None:
    """Known and unknown blocks come back from their text."""
    blocks = Blocks()
    for number, digest in enumerate(digests):
        blocks[number] = digest
    again = Blocks.from_text(blocks.text(), len(digests) * BLOCK)
    assert [again[number] for number in range(len(digests))] == digests
    assert again.known == sum(digest is not None for digest in digests)


@pytest.mark.parametrize(
    "text", ["0123456", "0123456G", "+1234567", "0x123456", "_1234567", "-1234567", "00000000" * 5, 12345678, None, []]
)
def test_no_other_text_is_taken_for_digests(text: object) -> None:
    """Whoever wrote the file: what is no list of digests of that file says nothing."""
    assert Blocks.from_text(text, SIZE).known == 0


@pytest.mark.parametrize("first", [-1, 4, 1 << 70, "0", True, None])
def test_digests_beyond_the_file_are_refused(first: object) -> None:
    """A run must lie within the file."""
    blocks = Blocks()
    assert not blocks.read_text(first, "00000000", SIZE)
    assert len(blocks) == 0
    assert blocks.read_text(3, "00000000", SIZE)


@given(st.lists(st.integers(0, SIZE), max_size=6))
def test_pieces_of_any_length_give_the_same_digests(cuts: list[int]) -> None:
    """It does not matter how the bytes are cut."""
    edges = [0, *sorted(cuts), SIZE]
    hash_ = BlockHash()
    for start, end in pairwise(edges):
        hash_.update(memoryview(DATA)[start:end])
    blocks = [DATA[at : at + BLOCK] for at in range(0, SIZE, BLOCK)]
    assert [hash_.blocks[number] for number in range(4)] == list(map(xxh3_of, blocks))
    assert len(hash_.blocks) == count(SIZE) == len(blocks)


def test_what_has_a_byte_of_the_segment_is_forgotten() -> None:
    """A segment that begins or ends inside a block makes the whole block unknown."""
    blocks = blocks_of(DATA)
    blocks.forget(Segment(BLOCK - 1, BLOCK + 1))
    assert [blocks[number] is None for number in range(4)] == [True, True, False, False]
    blocks.forget(Segment(3 * BLOCK, None))
    assert [blocks[number] is None for number in range(4)] == [True, True, False, True]


def test_neighbours_are_one_segment() -> None:
    """Segments are cut at the end of the file, and neighbours are joined."""
    assert segments_of([3, 0, 2], SIZE) == [Segment(0, BLOCK), Segment(2 * BLOCK, SIZE)]


def test_damage_is_found_on_disk(tmp_path: Path) -> None:
    """A flipped byte costs its block, as does a byte too few; what is unknown is no damage."""
    blocks, file = blocks_of(DATA), written(tmp_path, DATA[:-1])
    assert damaged(file, SIZE, blocks, CancelToken(), lambda _done: None) == [Segment(3 * BLOCK, SIZE)]
    file = written(tmp_path, b"?" + DATA[1 : 2 * BLOCK] + b"?" + DATA[2 * BLOCK + 1 :])
    blocks[0] = None
    assert blocks.unknown(SIZE) == [Segment(0, BLOCK)]
    assert damaged(file, SIZE, blocks, CancelToken(), lambda _done: None) == [Segment(2 * BLOCK, 3 * BLOCK)]


def test_unknown_blocks_are_filled_in_from_disk(tmp_path: Path) -> None:
    """The known ones are not read."""
    blocks = blocks_of(DATA[: 2 * BLOCK])
    blocks[0] = 7
    fill_in(written(tmp_path, DATA), SIZE, blocks, CancelToken())
    expected = blocks_of(DATA)
    expected[0] = 7
    assert blocks == expected


def test_what_cannot_be_read_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector costs its block; whoever wants the right ones gets them."""
    blocks, file, real = blocks_of(DATA), written(tmp_path, DATA), os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        if offset == BLOCK:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    right: dict[int, bytes] = {}
    found = damaged(file, SIZE, blocks, CancelToken(), lambda _done: None, right.__setitem__)
    assert found == [Segment(BLOCK, 2 * BLOCK)]
    assert right == {number: DATA[number * BLOCK : (number + 1) * BLOCK] for number in (0, 2, 3)}


def test_digests_are_compared() -> None:
    """Blocks that are unknown on one side do not differ."""
    other = blocks_of(DATA[:BLOCK] + b"?" + DATA[BLOCK + 1 : 3 * BLOCK])
    assert blocks_of(DATA).differing(other) == other.differing(blocks_of(DATA)) == [1]
    other[1] = None
    assert blocks_of(DATA).differing(other) == []


def test_a_search_for_damage_can_be_cancelled(tmp_path: Path) -> None:
    """A cancelled token ends it at once."""
    token = CancelToken()
    token.cancel(2)
    with pytest.raises(Interrupted):
        damaged(written(tmp_path, DATA), SIZE, blocks_of(DATA), token, lambda _done: None)


def written(folder: Path, data: bytes) -> fs.File:
    """A file with these bytes, opened."""
    path = folder / "file"
    path.write_bytes(data)
    return fs.open_to_read(path)
