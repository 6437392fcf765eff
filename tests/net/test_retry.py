"""How often to retry, how long to wait, and when to give up."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.errors import NetworkError
from luci_dl.net.retry import (
    MAX_DELAY_S,
    MAX_RETRY_AFTER_S,
    PROGRESS_BYTES,
    AttemptFailed,
    RetryBudget,
    retry_after_s,
)

NOW = datetime(2026, 10, 1, 12, 0, 0, tzinfo=UTC)
FAILURE = AttemptFailed("it broke")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Thu, 01 Oct 2026 12:01:30 GMT", 90.0),
        ("Thu, 01 Oct 2026 12:01:30 -0000", 90.0),
        ("Thu, 01 Oct 2026 11:00:00 GMT", 0.0),
        ("", None),
        (",", None),
        ("soon", None),
        ("-5", None),
        ("1.5", 1.5),
        ('"90"', 90.0),
        ("90s", 90.0),
        ("2026-10-01T12:01:30Z", 90.0),
        ("2026-10-01T14:01:30+02:00", 90.0),
        ("²", None),
        ("Thu, 01 Oct 99999 12:01:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Anything else is ignored."""
    assert retry_after_s({"retry-after": value}, NOW) == seconds
    assert retry_after_s({}, NOW) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit": '"resolvers";r=0;t=8'}, 8.0),
        ({"ratelimit": '"api";r=12;t=300, "resolvers";r=0;t=8, "burst"; r=0; t=2'}, 8.0),
        ({"ratelimit": '"api";r=12;t=300'}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=9"}, 9.0),
        ({"ratelimit": "limit=100, remaining=1, reset=9"}, None),
        ({"ratelimit": "Limit=100, Remaining=0, Reset=9"}, 9.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "1.25"}, 1.25),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-10-01T12:01:30Z"}, 90.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "7"}, 7.0),
        ({"x-ratelimit-remaining": " 0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 30.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{int(NOW.timestamp()) + 30}000"}, 30.0),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "Thu, 01 Oct 2026 12:01:30 GMT"}, 90.0),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "7"}, None),
        ({"x-ratelimit-reset": "7"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"retry-after": "5", "ratelimit": '"api";r=0;t=300'}, 5.0),
        ({"retry-after": "soon", "ratelimit": '"api";r=0;t=300'}, 300.0),
    ],
)
def test_a_rate_limit_counts_when_it_is_used_up(headers: dict[str, str], seconds: float | None) -> None:
    """In the form of each draft and of the common extensions; Retry-After overrides it."""
    assert retry_after_s(headers, NOW) == seconds


@given(st.integers(-(10**6), 10**6))
def test_a_wrong_clock_does_not_matter(skew: int) -> None:
    """A date is compared with the Date of the same response."""
    there = NOW + timedelta(seconds=skew)
    headers = {"date": format_datetime(there), "retry-after": format_datetime(there + timedelta(seconds=2))}
    assert retry_after_s(headers, NOW) == 2
    reset = str(int(there.timestamp()) + 2)
    assert retry_after_s({"date": headers["date"], "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, NOW) == 2


@given(st.one_of(st.text(), st.text("0123456789 ,:+-GMTJanFebMonTue;()", max_size=40)))
def test_no_header_breaks_anything(value: str) -> None:
    """Whatever a server sends, the delay is not negative."""
    for name in ("retry-after", "date", "ratelimit", "x-ratelimit-reset"):
        headers = {"x-ratelimit-remaining": "0", "retry-after": "Thu, 01 Oct 2026 12:01:30 GMT", name: value}
        seconds = retry_after_s(headers, NOW)
        assert seconds is None or seconds >= 0


@given(st.integers(0, 10**6), st.integers(-14, 14))
def test_a_date_is_as_good_as_its_seconds(seconds: int, zone: int) -> None:
    """In any time zone."""
    when = (NOW + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=zone)))
    assert retry_after_s({"retry-after": format_datetime(when)}, NOW) == seconds


@given(st.integers(1, 30), st.floats(0, 1))
def test_waits_double_up_to_a_minute_and_are_jittered(failures: int, chance: float) -> None:
    """The delay is between half of the doubled one and all of it."""
    budget = RetryBudget(100, jitter=lambda: chance)
    for _ in range(failures):
        delay = budget.record_failure(FAILURE, "m")
    longest = min(MAX_DELAY_S, 2.0 ** (failures - 1))
    assert longest / 2 <= delay <= longest


@given(st.integers(0, 20))
def test_retries_are_the_consecutive_failures_allowed(retries: int) -> None:
    """After `retries` failures, the next one ends it, with the name of the file and the reason."""
    budget = RetryBudget(retries, jitter=random.random)
    for _ in range(retries):
        budget.record_failure(FAILURE, "m.gguf")
    with pytest.raises(NetworkError, match=r"m\.gguf: it broke"):
        budget.record_failure(FAILURE, "m.gguf")


@given(st.integers(0, 1 << 40), st.lists(st.integers(0, PROGRESS_BYTES - 1), max_size=20))
def test_less_than_a_mebibyte_of_progress_resets_nothing(start: int, gains: list[int]) -> None:
    """Bytes that were there before, or that are fetched again, do not count."""
    budget = RetryBudget(len(gains), start)
    for gain in gains:
        budget.record_progress(start + gain)
        budget.record_failure(FAILURE, "m")
    with pytest.raises(NetworkError):
        budget.record_failure(FAILURE, "m")


@given(st.integers(1, 5), st.lists(st.integers(PROGRESS_BYTES, 3 * PROGRESS_BYTES), min_size=1, max_size=20))
def test_a_mebibyte_of_progress_resets_the_count(retries: int, gains: list[int]) -> None:
    """A bad line that transfers a MiB between failures is never given up."""
    budget, received = RetryBudget(retries), 0
    for gain in gains:
        for _ in range(retries):
            budget.record_failure(FAILURE, "m")
        received += gain
        budget.record_progress(received)
        assert budget.failures == 0


def test_fetching_the_same_bytes_again_is_no_progress() -> None:
    """Bytes fetched again after a restart do not reset the count."""
    budget = RetryBudget(3)
    budget.record_progress(10 * PROGRESS_BYTES)
    for _ in range(3):
        budget.record_progress(0)
        budget.record_progress(9 * PROGRESS_BYTES)
        budget.record_failure(FAILURE, "m")
    with pytest.raises(NetworkError):
        budget.record_failure(FAILURE, "m")


@given(st.floats(0, MAX_RETRY_AFTER_S))
def test_the_server_may_ask_for_a_longer_delay(asked: float) -> None:
    """Up to ten minutes. A delay shorter than luci's own is ignored."""
    delay = RetryBudget(5, jitter=lambda: 1.0).record_failure(AttemptFailed("busy", asked), "m")
    assert delay == max(1.0, asked)


def test_a_delay_of_more_than_ten_minutes_is_an_error() -> None:
    """The message has the delay."""
    with pytest.raises(NetworkError, match="wait 61 minutes"):
        RetryBudget(5).record_failure(AttemptFailed("busy", 3660.0), "m")


def test_the_hint_comes_from_the_failure() -> None:
    """The default hint is to check the connection."""
    for hint, said in (("Ask again tomorrow.", "Ask again tomorrow."), ("", "Check the connection")):
        with pytest.raises(NetworkError) as caught:
            RetryBudget(0).record_failure(AttemptFailed("busy", hint=hint), "m.gguf")
        assert caught.value.hint.startswith(said)
