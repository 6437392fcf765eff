"""The limit on the download rate, shared by all connections of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from luci_dl.plan import PAGE
from luci_dl.rate_limit import UNLIMITED, RateLimit

MAX_BLOCK_S = 0.02
"""A block is at most what the limit allows in this time, so that the rate stays even. Sixteen connections that read
their first block at once are less than a third of a second ahead of the limit."""

CATCH_UP_S = 0.05
"""Unused time that a late reader may still use. More would allow bursts after a pause."""

MAX_DELAY_S = 1.0
"""Nobody waits longer than this, so that a new limit takes hold soon. Only blocks that were read before a limit began
take more, and the rest of their time is forgiven."""

CONNECTION_RATE = 64 << 10
"""Bytes per second that one connection reaches on almost every line: more connections than fill the limit are waste."""


class RateLimiter:
    """Says how long each reader must wait after a read, so that all readers together keep the limit.

    Args:
        limit: by the time of day.
        clock: a monotonic clock, in seconds.
        local: the local time of day; it may jump, as it does when daylight saving begins.
    """

    def __init__(
        self,
        limit: RateLimit = UNLIMITED,
        clock: Callable[[], float] = time.monotonic,
        local: Callable[[], time.struct_time] = time.localtime,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._local = local
        self._lock = threading.Lock()
        self._busy_until = 0.0  # when the limit has room for the next byte

    @property
    def rate(self) -> int | None:
        """Bytes per second now; None for no limit."""
        now = self._local()
        return self._limit.at(now.tm_hour * 60 + now.tm_min)

    def connections(self, wanted: int) -> int:
        """How many of the `wanted` connections are worth opening."""
        rate = self.rate
        return wanted if rate is None else max(1, min(wanted, rate // CONNECTION_RATE))

    def block_size(self, wanted: int) -> int:
        """How many of the `wanted` bytes to read at a time: whole pages, unless the limit allows less than one."""
        rate = self.rate
        if rate is None:
            return wanted
        allowed = int(rate * MAX_BLOCK_S)
        return max(1, min(wanted, allowed // PAGE * PAGE or allowed))

    def delay(self, length: int) -> float:
        """Count `length` bytes as read. Returns: the seconds to wait before the next read."""
        rate = self.rate
        if rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            busy_until = max(self._busy_until, now - CATCH_UP_S) + length / rate
            self._busy_until = min(busy_until, now + MAX_DELAY_S)
            return max(0.0, self._busy_until - now)
