"""The download rate, and whether a connection, or a whole server, has stalled."""

from __future__ import annotations

from collections import deque

AVERAGE_S = 4.0
"""The rate is an average over this time."""
STALL_S = 30.0  # unless --timeout says otherwise
STALL_BYTES_PER_S = 1024
"""A response that waits `STALL_S` seconds for the network and gets fewer bytes per second than this has stalled."""


class RateMeter:
    """Bytes per second over the last `average_s` seconds."""

    def __init__(self, average_s: float = AVERAGE_S) -> None:
        self._average_s = average_s
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, received: int) -> float:
        """Note that `received` bytes are there at the time `now`. Returns: the rate."""
        samples = self._samples
        if samples and received < samples[-1][1]:
            samples.clear()  # the download started over
        samples.append((now, received))
        while now - samples[0][0] > self._average_s:
            samples.popleft()
        then, before = samples[0]
        return (received - before) / (now - then) if now > then else 0.0


class StallWatch:
    """Notices a response that waits for the network and receives next to nothing, `limit_s` long (None: `STALL_S`)."""

    def __init__(self, limit_s: float | None = None) -> None:
        self._limit_s = limit_s or STALL_S
        self._waited_s, self._received = 0.0, 0  # when that was last judged

    def is_stalled(self, waited_s: float, received: int) -> bool:
        """Whether the connection, which has waited so long and received so many bytes so far, has stalled."""
        if waited_s - self._waited_s < self._limit_s:
            return False
        gained = received - self._received
        self._waited_s, self._received = waited_s, received
        return gained < STALL_BYTES_PER_S * self._limit_s


class SilenceWatch:
    """Notices that a download has waited for its server alone for `limit_s` seconds since the last byte came."""

    def __init__(self, limit_s: float, now: float) -> None:
        self.limit_s = limit_s
        self._waited_s = 0.0
        self._received, self._seen = -1, now

    def is_over(self, now: float, received: int, waits: bool) -> bool:
        """Whether that is so now; `waits`: for the server, not for the disk or the rate limit."""
        if received != self._received:
            self._received, self._waited_s = received, 0.0
        elif waits:
            self._waited_s += now - self._seen
        self._seen = now
        return self._waited_s >= self.limit_s
