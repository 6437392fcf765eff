"""Rate limits as the user types them: for the whole day, or for parts of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from luci_dl.config.kinds import RATE
from luci_dl.errors import UsageError
from luci_dl.rate_limit import DAY, UNLIMITED, RateLimit, Span

NINE_TO_FIVE = Span(9 * 60, 17 * 60, 2_000_000)
NIGHT = Span(22 * 60, 6 * 60, None)
RATES = st.none() | st.integers(1, 10**15 - 1)


def parsed(value: object) -> RateLimit:
    limit: RateLimit = RATE.parse(value, "--limit-rate", Path())
    return limit


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ("none", UNLIMITED),
        ("20M", RateLimit(20_000_000)),
        (512, RateLimit(512)),
        ("09:00-17:00=2M", RateLimit(None, (NINE_TO_FIVE,))),
        ("9:00-17:00=2MB/s,10M", RateLimit(10_000_000, (NINE_TO_FIVE,))),
        ("10M, 9:00 - 17:00 = 2M", RateLimit(10_000_000, (NINE_TO_FIVE,))),
        ("09:00-17:00=2M,none", RateLimit(None, (NINE_TO_FIVE,))),
        ("22:00-06:00=none,09:00-17:00=2M,5", RateLimit(5, (NIGHT, NINE_TO_FIVE))),
        ("00:00-24:00=1k", RateLimit(None, (Span(0, DAY, 1000),))),
        ("06:00-09:00=1,09:00-06:00=2", RateLimit(None, (Span(360, 540, 1), Span(540, 360, 2)))),
    ],
)
def test_a_limit_reads_as_it_is_written(value: object, limit: RateLimit) -> None:
    """Spaces do not matter, nor a zero before the hour, nor where the rate of the other hours stands."""
    assert parsed(value) == limit


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", "expected a size"),
        ("09:00-17:00=", "expected a size"),
        ("09:00-17:00=2M,", "expected a size"),
        ("09:00-17:00=0", "at least one byte per second"),
        (True, "expected bytes, or a size"),
        (["20M"], "expected bytes, or a size"),
        ("=2M", "two times of day such as 09:00-17:00, found ''"),
        ("9-17=2M", "found '9-17'"),
        ("09:00=2M", "found '09:00'"),
        ("09:60-17:00=2M", "found '09:60-17:00'"),
        ("24:00-06:00=2M", "found '24:00-06:00'"),
        ("09:00-24:01=2M", "found '09:00-24:01'"),
        ("09:00-09:00=2M", "found '09:00-09:00'"),
        ("2M,10M", "expected times of day for all rates but one"),
        ("09:00-17:00=2M,16:00-16:30=1M", "the times 09:00-17:00 and 16:00-16:30 overlap"),
        ("22:00-06:00=2M,05:59-07:00=1M", "the times 22:00-06:00 and 05:59-07:00 overlap"),
        ("00:00-24:00=2M,22:00-06:00=1M", "overlap"),
    ],
)
def test_an_invalid_limit_is_refused(value: object, found: str) -> None:
    """The message names the option, and what is wrong."""
    with pytest.raises(UsageError) as caught:
        parsed(value)
    assert caught.value.message.startswith("--limit-rate: ")
    assert found in caught.value.message


@st.composite
def limits(draw: st.DrawFn) -> RateLimit:
    minutes = draw(st.lists(st.integers(0, DAY - 1), min_size=2, max_size=8, unique=True).map(sorted))
    turn = draw(st.integers(0, len(minutes)))
    ends = [*minutes[turn:], *minutes[:turn]]
    return RateLimit(draw(RATES), tuple(Span(a, b, draw(RATES)) for a, b in zip(ends[::2], ends[1::2], strict=False)))


@given(limits(), st.integers(0, DAY - 1))
def test_the_text_of_a_limit_means_the_same_limit(limit: RateLimit, minute: int) -> None:
    """So what `luci config get` prints can be set again."""
    (text,) = RATE.texts(limit)
    assert parsed(text) == limit
    inside = [span for span in limit.spans if span.covers(minute)]
    assert len(inside) <= 1
    assert limit.at(minute) == (inside[0].rate if inside else limit.rate)


@given(st.integers(0, DAY - 1), st.integers(0, DAY), st.integers(0, DAY - 1))
def test_a_span_covers_its_minutes_and_no_others(begin: int, end: int, minute: int) -> None:
    """Over midnight if it ends before it begins; the minute of its end is not in it."""
    assume(begin != end)
    covered = begin <= minute < end if begin < end else minute >= begin or minute < end
    assert Span(begin, end, None).covers(minute) == covered
