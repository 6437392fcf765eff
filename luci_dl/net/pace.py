"""The limit on the rate, one for all connections and jobs of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LONGEST_S = 0.1
"""No block should take longer than that at the limit, in seconds: the rate stays even."""


class Pace:
    """Hands out time: whoever wants to read so many bytes waits until it is their turn at the limit.

    All callers stand in one queue of time, so the sum of what they read keeps the limit. Time that nobody used is lost:
    there are no bursts to make up for it.

    Args:
        limit: bytes a second; None for no limit.
        clock: seconds that only go forward.
    """

    def __init__(self, limit: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._taken = 0.0  # the time up to which the line is taken

    def block(self, wanted: int) -> int:
        """How many of the `wanted` bytes to read at a time."""
        return wanted if self.limit is None else max(1, min(wanted, int(self.limit * LONGEST_S)))

    def reserve(self, length: int) -> float:
        """Seconds to wait before so many bytes may be read: until those reserved before have had their time."""
        if self.limit is None:
            return 0.0
        with self._lock:
            now = self._clock()
            start = max(self._taken, now)
            self._taken = start + length / self.limit
            return start - now

    def give_back(self, length: int) -> None:
        """So many of the bytes reserved did not come."""
        if self.limit is not None:
            with self._lock:
                self._taken -= length / self.limit
