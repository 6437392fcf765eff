"""The digests of blocks while bytes arrive."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.disk.block_sums import BlockSums, known_beyond, runs_of
from luci_dl.disk.blocks import BLOCK, BlockHash
from luci_dl.plan import Segment
from tests.disk.hands import gguf

DATA = gguf(3 * BLOCK + 777)


def right() -> BlockHash:
    sums = BlockHash()
    sums.update(DATA)
    return sums


@settings(deadline=None, max_examples=50)
@given(st.sets(st.integers(1, len(DATA) - 1) | st.sampled_from([BLOCK, 2 * BLOCK, 3 * BLOCK]), max_size=6), st.data())
def test_no_digest_is_wrong_in_any_order(cuts: set[int], data: st.DataObject) -> None:
    """Those of blocks that came in order are known; whole blocks may come in any order."""
    ends = [*sorted(cuts), len(DATA)]
    pieces = [*zip([0, *ends], ends, strict=False)]
    sums, wanted = BlockSums(), right()
    for start, end in data.draw(st.permutations(pieces)):
        sums.add(start, DATA[start:end], len(DATA))
    assert all(sums.blocks[number] in (None, wanted.blocks[number]) for number in range(5))
    uncut = [number for number in range(4) if not any(number < cut / BLOCK < number + 1 for cut in cuts)]
    assert all(sums.blocks[number] is not None for number in uncut)


@given(st.lists(st.integers(1, 2 * BLOCK), max_size=5))
def test_all_are_known_of_bytes_in_order(lengths: list[int]) -> None:
    """The last one as soon as the size is known."""
    sums, at = BlockSums(), 0
    for length in [*lengths, len(DATA)]:
        sums.add(at, DATA[at : at + length], None)
        at = min(len(DATA), at + length)
    assert sums.complete([], None) == [0, 1, 2]
    assert sums.complete([], len(DATA)) == [0, 1, 2, 3]
    assert sums.blocks == right().blocks


def test_what_is_not_written_is_not_complete() -> None:
    """Nor is what the journal has."""
    sums = BlockSums()
    sums.add(0, DATA, len(DATA))
    assert sums.complete([(BLOCK - 1, BLOCK + 1)], len(DATA)) == [2, 3]
    sums.recorded([0, 2])
    assert sums.complete([], len(DATA)) == [1, 3]
    assert sums.recorded_beyond(BLOCK // 2, len(DATA)) == BLOCK // 2 + BLOCK
    sums.forget([Segment(0, BLOCK + 1)])
    assert sums.complete([], len(DATA)) == [3]
    assert known_beyond(sums.blocks, 0, len(DATA)) == BLOCK + 777


def test_runs_are_neighbours_and_not_long() -> None:
    """One line of the journal each."""
    assert runs_of([1, 2, 3, 7, 9, 10]) == [(1, 4), (7, 8), (9, 11)]
    assert runs_of(range(1000)) == [(0, 512), (512, 1000)]
    assert runs_of([]) == []
