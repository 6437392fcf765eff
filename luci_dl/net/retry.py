"""Patience: how often to try again, how long to wait before, and when it is enough."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from luci_dl.errors import NetworkError

PROGRESS = 1 << 20
"""Bytes beyond the best so far that make the count of failures start anew."""
LONGEST_S = 60.0
"""The longest wait that luci chooses, in seconds."""
LONGEST_ASKED_S = 600.0
"""The longest wait that a server may ask for, in seconds; beyond that the download is suspended."""


class AttemptFailed(Exception):
    """One attempt failed in a way that the next one may not.

    Attributes:
        reason: in a few words.
        retry_after: seconds that the server asked to wait; None when it did not.
        no_ranges: the server cannot be trusted with ranges: ask for the whole file next time.
        crowded: fewer connections may go better.
        busy: the server said so itself.
        hint: what to do when patience is at its end.
    """

    def __init__(
        self,
        reason: str,
        retry_after: float | None = None,
        *,
        no_ranges: bool = False,
        crowded: bool = True,
        busy: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.no_ranges = no_ranges
        self.crowded = crowded
        self.busy = busy
        self.hint = hint or "Check the connection and run the command again."


class RetryBudget:
    """Counts failed attempts of one file.

    Args:
        retries: failures in a row that are forgiven; what makes a row end is a MiB beyond the best so far.
        received: bytes that are there from the start.
        dice: a number from 0 to 1; its chance spreads those who fail together.
    """

    def __init__(self, retries: int, received: int = 0, dice: Callable[[], float] = random.random) -> None:
        self.retries = retries
        self.failures = 0
        self._dice = dice
        self._best = received

    def progressed(self, received: int) -> None:
        """`received` bytes of the file are there now. Bytes that were there before do not count again."""
        if received >= self._best + PROGRESS:
            self._best = received
            self.failures = 0

    def failed(self, failure: AttemptFailed, what: str) -> float:
        """Seconds to wait before the next attempt.

        Raises: NetworkError, when it was one failure too many, or the server asks for too long a wait.
        """
        self.failures += 1
        asked = failure.retry_after
        if asked is not None and asked > LONGEST_ASKED_S:
            raise NetworkError(
                f"{what}: {failure.reason}, and the server asks to come back in {asked / 60:.0f} minutes",
                "Run the install command again then.",
            )
        if self.failures > self.retries:
            times = f" ({self.failures} attempts)" if self.failures > 1 else ""
            raise NetworkError(f"{what}: {failure.reason}{times}", failure.hint)
        chosen = min(LONGEST_S, 2.0 ** (self.failures - 1)) * (0.5 + self._dice() / 2)
        return max(chosen, asked or 0.0)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header asks for, given as seconds or as a date; None without a sensible one."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
