"""The limit on the rate, one for all connections and jobs of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LONGEST_S = 0.02
"""No block should take longer than that at the limit, in seconds: the rate stays even, and sixteen connections that
read their first block at once are less than a third of a second ahead of it."""

LATE_S = 0.05
"""By so much, in seconds, whoever comes late may catch up."""


class RateLimiter:
    """Hands out time: whoever has read so many bytes waits as long as they take at the limit.

    All callers stand in one queue of time, so the sum of what they read keeps the limit. Time that nobody used is lost,
    save for the moments by which a thread wakes late: there are no bursts to make up for a pause.

    Args:
        limit: bytes a second; None for no limit.
        clock: seconds that only go forward.
    """

    def __init__(self, limit: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._paid_until = 0.0  # when all that was read has had its time

    def block(self, wanted: int) -> int:
        """How many of the `wanted` bytes to read at a time."""
        return wanted if self.limit is None else max(1, min(wanted, int(self.limit * LONGEST_S)))

    def delay(self, length: int) -> float:
        """How long to wait before reading on, in seconds, now that `length` bytes were read."""
        if self.limit is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._paid_until = max(self._paid_until, now - LATE_S) + length / self.limit
            return max(0.0, self._paid_until - now)
