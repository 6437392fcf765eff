"""How many connections all fetches of a run may have together."""

from __future__ import annotations

import threading


class Slots:
    """Counts connections. Any thread may call.

    Args:
        limit: the most that there may be. Only a fetch without any connection gets one beyond that.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, *, first: bool) -> bool:
        """Count one more connection, the `first` of its fetch or another one. False when there are enough."""
        with self._lock:
            if not first and self._taken >= self._limit:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        """Count one connection less."""
        with self._lock:
            self._taken -= 1
