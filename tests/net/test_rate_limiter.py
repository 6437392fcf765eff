"""The rate limit, with its own clock."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.net.rate_limiter import CATCH_UP_S, MAX_BLOCK_S, RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def bytes_read(limiter: RateLimiter, clock: Clock, readers: int, seconds: float) -> int:
    """The bytes that the readers get in that time, on a line that delivers half of each block at once."""
    end, done = clock.now + seconds, 0
    turns = [(clock.now, reader) for reader in range(readers)]  # when each of them may read again
    while turns[0][0] < end:
        clock.now, reader = heapq.heappop(turns)
        length = max(1, limiter.block_size(1 << 20) // 2)
        done += length
        heapq.heappush(turns, (clock.now + limiter.delay(length), reader))
    return done


@pytest.mark.parametrize("readers", [1, 4, 16])
@pytest.mark.parametrize("limit", [50_000, 20_000_000])
def test_the_limit_holds_within_five_percent_over_ten_seconds(readers: int, limit: int) -> None:
    """All connections together read what the limit allows."""
    clock = Clock()
    done = bytes_read(RateLimiter(limit, clock), clock, readers, 10)
    assert done == pytest.approx(10 * limit, rel=0.05)


@given(limit=st.integers(1, 10**9), wanted=st.integers(1, 1 << 20))
def test_blocks_shrink_with_the_limit(limit: int, wanted: int) -> None:
    """So that even a low rate stays even."""
    block = RateLimiter(limit).block_size(wanted)
    assert 1 <= block <= wanted
    assert block == 1 or block / limit <= MAX_BLOCK_S


def test_there_is_no_burst_after_a_pause() -> None:
    """Unused time is lost, except for a moment."""
    clock = Clock()
    limiter = RateLimiter(1000, clock)
    limiter.delay(100)
    clock.now += 60
    assert limiter.delay(100) == pytest.approx(0.1 - CATCH_UP_S)
    assert limiter.delay(100) == pytest.approx(0.2 - CATCH_UP_S)


def test_without_a_limit_nobody_waits() -> None:
    """The common case has no delay."""
    limiter = RateLimiter()
    assert (limiter.block_size(1 << 20), limiter.delay(1 << 20)) == (1 << 20, 0.0)
