"""How fast it goes, and whether it still goes at all."""

from __future__ import annotations

from collections import deque

RATE_S = 4.0
"""The time over which a rate is taken, in seconds."""
STALL_S = 30.0
STALL_RATE = 1024
"""Fewer bytes a second than that, over `STALL_S` seconds of waiting for the network, are a stall."""
LONGEST_TICK_S = 1.0
"""Of a longer tick only so much counts as waiting, in seconds: the process was stopped (Ctrl+Z) meanwhile."""


class RateMeter:
    """Bytes a second over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, received: int) -> float:
        """The rate, when `received` bytes are there at the moment `now`."""
        samples = self._samples
        if samples and received < samples[-1][1]:
            samples.clear()  # started over
        samples.append((now, received))
        while now - samples[0][0] > RATE_S:
            samples.popleft()
        then, before = samples[0]
        return (received - before) / (now - then) if now > then else 0.0


class StallWatch:
    """Notices a connection that waits for the network and gets next to nothing."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._waited = 0.0
        self._moved = 0

    def is_stalled(self, now: float, moved: int, reading: bool) -> bool:
        """Whether it has stalled, when it brought `moved` bytes in all and is waiting for more (`reading`) or not."""
        if reading and self._last is not None:
            self._waited += min(now - self._last, LONGEST_TICK_S)
        self._last = now
        if self._waited < STALL_S:
            return False
        brought = moved - self._moved
        self._waited, self._moved = 0.0, moved
        return brought < STALL_RATE * STALL_S
