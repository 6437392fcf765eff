"""When to try again: which failures may pass, how long to wait before the next attempt, and when to give up."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from luci_dl.errors import LuciError, NetworkError
from luci_dl.text import public_text

PROGRESS_BYTES = 1 << 20
"""New bytes, beyond the most there have been, that reset the count of failures."""
MAX_DELAY_S = 60.0
"""The longest delay that luci chooses, unless somebody else can be asked meanwhile."""
MAX_RETRY_AFTER_S = 600.0
"""The longest delay accepted from a server. A longer one ends the download, which can be resumed later."""
_EPOCH_S = 1e9
"""From here on, a number is no delay but a time, in seconds since 1970."""
_PARAMETER = re.compile(r"\b([a-z]{1,20}) *= *\"?([0-9]{1,15})", re.IGNORECASE)
_NUMBER = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)[0-9]*s?", re.IGNORECASE)


class Remedy(Enum):
    """What may make the next attempt succeed."""

    WAIT = "the same request, later"
    FRESH_ADDRESS = "a new redirect from the origin, at once"
    FEWER = "fewer connections: this machine or the server allows no more"
    PROBE = "a request without a range, which shows whether only ranges are refused"
    NO_RANGES = "one connection, and a probe: the answer to a range cannot be relied on"
    ELSEWHERE = "another server: this one says why it cannot send the file"


class AttemptFailed(Exception):
    """One attempt failed, but the next one may succeed.

    Attributes:
        reason: in a few words.
        retry_after: seconds that the server asked to wait; None when it did not ask.
        remedy: what the next attempt should do otherwise.
        hint: what the user can do when the retries run out.
        final: the error then; None for a `NetworkError` with the reason and the hint.
    """

    def __init__(
        self,
        reason: str,
        retry_after: float | None = None,
        *,
        remedy: Remedy = Remedy.WAIT,
        hint: str = "",
        final: LuciError | None = None,
    ) -> None:
        self.reason = public_text(reason)
        super().__init__(self.reason)
        self.retry_after = retry_after
        self.remedy = remedy
        self.hint = hint or "Check the connection and run the command again."
        self.final = final


class OutOfResources(AttemptFailed):
    """This machine refused another thread or file descriptor. No server is to blame."""

    def __init__(self, reason: str) -> None:
        hint = "Use fewer --jobs and --connections, or raise the system's limits (ulimit -n, ulimit -u)."
        super().__init__(reason, remedy=Remedy.FEWER, hint=hint)


class Silent(NetworkError):
    """A server sent nothing for as long as that was waited for."""


class RetryBudget:
    """Counts the consecutive failures of one download, and chooses the delays between attempts.

    Args:
        retries: consecutive failures allowed. `PROGRESS_BYTES` new bytes end a series of failures.
        received: bytes that are there from the start.
        jitter: returns a random number from 0 to 1, so that clients that failed together do not retry together.
        max_delay: the longest delay that luci chooses, in seconds; None for `MAX_DELAY_S`.
    """

    def __init__(
        self,
        retries: int,
        received: int = 0,
        jitter: Callable[[], float] = random.random,
        max_delay: float | None = None,
    ) -> None:
        self.retries = retries
        self.failures = 0
        self._max_delay = MAX_DELAY_S if max_delay is None else max_delay
        self._jitter = jitter
        self._most_received = received

    def record_progress(self, received: int) -> None:
        """Note that `received` bytes of the file are there. Bytes that are fetched again are no progress."""
        if received >= self._most_received + PROGRESS_BYTES:
            self._most_received = received
            self.failures = 0

    def record_failure(self, failure: AttemptFailed, name: str) -> float:
        """Count a failure and return the seconds to wait before the next attempt.

        Raises: NetworkError, or the failure's own error, when no retry is left or the server asks for too long a delay.
        """
        self.failures += 1
        asked = failure.retry_after
        if asked is not None and asked > MAX_RETRY_AFTER_S:
            raise NetworkError(
                f"{name}: {failure.reason}, and the server asks to wait {asked / 60:.0f} minutes",
                "Run the install command again then.",
            )
        if self.failures > self.retries:
            attempts = f" ({self.failures} attempts)" if self.failures > 1 else ""
            raise failure.final or NetworkError(f"{name}: {failure.reason}{attempts}", failure.hint)
        delay = min(self._max_delay, 2.0 ** (self.failures - 1)) * (0.5 + self._jitter() / 2)
        return max(delay, asked or 0.0)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds that a server asks to wait, by Retry-After or by a used-up rate limit; None if it does not.

    Dates are compared with the response's own Date: the clock here may be wrong.
    """
    server_time = http_date(headers.get("date", "")) or now or datetime.now(UTC)
    asked = _seconds(headers.get("retry-after", ""), server_time)
    if asked is not None:
        return asked
    resets = [_seconds(reset, server_time) for remaining, reset in _rate_limits(headers) if remaining == "0"]
    return max((reset for reset in resets if reset is not None), default=None)


def _rate_limits(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is left of each rate limit, and when it starts again."""
    for limit in headers.get("ratelimit", "").split(","):
        parameters = _parameters(limit)
        yield parameters.get("r", ""), parameters.get("t", "")
    parameters = _parameters(headers.get("ratelimit", ""))  # an older draft: limit=9, remaining=0, reset=5
    yield parameters.get("remaining", ""), parameters.get("reset", "")
    for prefix in ("ratelimit", "x-ratelimit", "x-rate-limit"):
        for reset in ("reset", "reset-after"):
            yield headers.get(f"{prefix}-remaining", "").strip(), headers.get(f"{prefix}-{reset}", "")


def _parameters(limit: str) -> dict[str, str]:
    return {name.lower(): value for name, value in _PARAMETER.findall(limit)}


def _seconds(text: str, server_time: datetime) -> float | None:
    """A delay: a number of seconds, a date, or a time as seconds or milliseconds since 1970. None if it is neither."""
    text = text.strip(' \t"')
    if found := _NUMBER.fullmatch(text):
        number = float(found[1])
        if number < _EPOCH_S:
            return number
        return max(0.0, number / (1000 if number >= _EPOCH_S * 1000 else 1) - server_time.timestamp())
    when = http_date(text)
    return max(0.0, (when - server_time).total_seconds()) if when else None


def http_date(text: str) -> datetime | None:
    """A date as in HTTP, or in ISO 8601; None for any other text."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = parse(text)
        except ValueError:
            continue
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None
