"""Memory for bytes on their way to the disk: what is reused, and how much is kept."""

from __future__ import annotations

import mmap

import pytest

from luci_dl.disk.buffers import SPARE, Block, Buffers


def used(buffers: Buffers, memory: memoryview) -> None:
    """Give it back."""
    buffers.used(Block(0, memory))


def mapping(memory: memoryview) -> mmap.mmap:
    """What the memory is a part of."""
    assert isinstance(memory.obj, mmap.mmap)
    return memory.obj


def test_buffers_of_two_sizes_are_both_reused() -> None:
    """Blocks that arrive and blocks that are read back have different ones: neither takes the place of the other."""
    buffers = Buffers()
    first = {size: buffers.take(size) for size in (1 << 20, 2 << 20)}
    for memory in first.values():
        used(buffers, memory)
    for size in (1 << 20, 2 << 20, 1 << 20):
        again = buffers.take(size)
        assert mapping(again) is mapping(first[size])
        used(buffers, again)


@pytest.mark.parametrize("size", [256 << 10, 4 << 20])
def test_what_is_kept_is_bounded_and_the_largest_go_first(size: int) -> None:
    """After a burst, the memory goes back to the system."""
    buffers = Buffers()
    memory = [buffers.take(size) for _ in range(3 * SPARE // size)]
    small = buffers.take(mmap.PAGESIZE)
    used(buffers, small)
    kept = {mapping(each) for each in memory}
    while memory:
        used(buffers, memory.pop())
    again = [buffers.take(size) for _ in range(3 * SPARE // size)]
    assert SPARE - 2 * size <= size * sum(mapping(each) in kept for each in again) <= SPARE
    assert mapping(buffers.take(mmap.PAGESIZE)) is mapping(small)


def test_memory_that_somebody_may_still_fill_is_not_reused() -> None:
    """Nor what has other users."""
    buffers = Buffers()
    memory = buffers.take(4096)
    buffers.used(Block(0, memory, reusable=False))
    assert mapping(buffers.take(4096)) is not mapping(memory)
    block = Block(0, memory, users=2)
    buffers.used(block)
    assert mapping(buffers.take(4096)) is not mapping(memory)
    buffers.used(block)
    assert mapping(buffers.take(4096)) is mapping(memory)
