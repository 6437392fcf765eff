"""The rate limit, with its own clock."""

from __future__ import annotations

import heapq
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.net.rate_limiter import CATCH_UP_S, MAX_BLOCK_S, MAX_DELAY_S, RateLimiter
from luci_dl.plan import PAGE
from luci_dl.rate_limit import RateLimit, Span


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Day:
    """The local time of day."""

    hour = 0

    def __call__(self) -> time.struct_time:
        return time.struct_time((2026, 3, 29, self.hour, 0, 0, 6, 88, -1))


def bytes_read(limiter: RateLimiter, clock: Clock, readers: int, seconds: float, pause: float = 0.0) -> int:
    """The bytes that the readers get in that time, on a line that delivers half of each block after the pause."""
    end, done = clock.now + seconds, 0
    turns = [(clock.now, reader) for reader in range(readers)]  # when each of them may read again
    while turns[0][0] < end:
        clock.now, reader = heapq.heappop(turns)
        length = max(1, limiter.block_size(1 << 20) // 2)
        done += length
        heapq.heappush(turns, (clock.now + pause + limiter.delay(length), reader))
    return done


@pytest.mark.parametrize("readers", [1, 4, 16])
@pytest.mark.parametrize("limit", [50_000, 20_000_000])
def test_the_limit_holds_within_five_percent_over_ten_seconds(readers: int, limit: int) -> None:
    """All connections together read what the limit allows."""
    clock = Clock()
    done = bytes_read(RateLimiter(RateLimit(limit), clock), clock, readers, 10)
    assert done == pytest.approx(10 * limit, rel=0.05)


@given(limit=st.integers(1, 10**9), wanted=st.integers(1, 1 << 20))
def test_blocks_shrink_with_the_limit(limit: int, wanted: int) -> None:
    """So that even a low rate stays even."""
    block = RateLimiter(RateLimit(limit)).block_size(wanted)
    assert 1 <= block <= wanted
    assert block == 1 or block / limit <= MAX_BLOCK_S
    assert block == wanted or block < PAGE or block % PAGE == 0


def test_there_is_no_burst_after_a_pause() -> None:
    """Unused time is lost, except for a moment."""
    clock = Clock()
    limiter = RateLimiter(RateLimit(1000), clock)
    limiter.delay(100)
    clock.now += 60
    assert limiter.delay(100) == pytest.approx(0.1 - CATCH_UP_S)
    assert limiter.delay(100) == pytest.approx(0.2 - CATCH_UP_S)


def test_without_a_limit_nobody_waits() -> None:
    """The common case has no delay."""
    limiter = RateLimiter()
    assert (limiter.block_size(1 << 20), limiter.delay(1 << 20), limiter.connections(16)) == (1 << 20, 0.0, 16)


@pytest.mark.parametrize(("limit", "connections"), [(1, 1), (100_000, 1), (500_000, 7), (20_000_000, 16)])
def test_a_low_limit_needs_few_connections(limit: int, connections: int) -> None:
    """Sixteen that share 100 kB per second would only be a burden to the server."""
    assert RateLimiter(RateLimit(limit)).connections(16) == connections


@pytest.mark.parametrize("readers", [1, 16])
def test_a_limit_that_begins_during_a_download_holds_a_second_later(readers: int) -> None:
    """Also for large blocks that were requested before; and when it ends, nobody goes on waiting for it."""
    clock, day = Clock(), Day()
    limiter = RateLimiter(RateLimit(spans=(Span(9 * 60, 17 * 60, 200_000),)), clock, day)
    assert bytes_read(limiter, clock, readers, 0.1, pause=0.01) > 5_000_000
    day.hour = 9
    delays = [limiter.delay(1 << 20) for _ in range(readers)]  # read before the limit began
    assert max(delays) <= MAX_DELAY_S
    clock.now += MAX_DELAY_S
    assert bytes_read(limiter, clock, readers, 10) == pytest.approx(10 * 200_000, rel=0.05)
    assert limiter.delay(4000) <= MAX_DELAY_S
    day.hour = 17
    assert (limiter.block_size(1 << 20), limiter.delay(1 << 20)) == (1 << 20, 0.0)


def test_the_limit_follows_the_local_time_whatever_the_clock_does() -> None:
    """Daylight saving skips an hour or repeats one, and a clock that was wrong is set back."""
    clock, day = Clock(), Day()
    limiter = RateLimiter(RateLimit(1000, (Span(2 * 60, 3 * 60, 10),)), clock, day)
    rates = []
    for day.hour in (1, 3, 2, 1, 2):
        clock.now += 1
        rates.append(limiter.rate)
    assert rates == [1000, 1000, 10, 1000, 10]
