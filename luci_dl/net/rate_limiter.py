"""The limit on the download rate, shared by all connections of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MAX_BLOCK_S = 0.02
"""A block is at most what the limit allows in this time, so that the rate stays even. Sixteen connections that read
their first block at once are less than a third of a second ahead of the limit."""

CATCH_UP_S = 0.05
"""Unused time that a late reader may still use. More would allow bursts after a pause."""


class RateLimiter:
    """Says how long each reader must wait after a read, so that all readers together keep the limit.

    Args:
        limit: bytes per second; None for no limit.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, limit: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._busy_until = 0.0  # when the limit has room for the next byte

    def block_size(self, wanted: int) -> int:
        """How many of the `wanted` bytes to read at a time."""
        return wanted if self.limit is None else max(1, min(wanted, int(self.limit * MAX_BLOCK_S)))

    def delay(self, length: int) -> float:
        """Count `length` bytes as read. Returns: the seconds to wait before the next read."""
        if self.limit is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._busy_until = max(self._busy_until, now - CATCH_UP_S) + length / self.limit
            return max(0.0, self._busy_until - now)
