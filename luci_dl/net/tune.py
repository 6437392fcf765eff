"""How many connections: found by measuring, never by asking the user."""

from __future__ import annotations

MOST = 16
RISE = 1.15
"""More connections must bring that much more, or they are given back."""
STEP_S = 0.18
"""After that time a step that pays is taken for good, in seconds."""
PATIENCE_S = 1.5
"""A step that does not pay has that long to show that it does: new connections start slowly."""
WORTH_S = 2.0
"""With less than that left to fetch, in seconds at the present rate, nothing is tried any more."""
REST_S = 20.0
"""After a step that did not pay, the next is tried that much later: lines change."""


class Tuner:
    """Doubles the connections while the throughput rises by it, goes back when it does not.

    Args:
        fixed: as many connections as that, without measuring; None to measure.

    Attributes:
        connections: how many there should be now.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self.connections = fixed or 1
        self._most = fixed or MOST
        self._fixed = fixed is not None
        self._before = 0  # connections before the step that is being tried; 0: none is
        self._tried_at = 0.0
        self._rest_until = 0.0
        self._best = 0.0  # bytes a second that the connections of before the step reach, usually
        self._level = self.connections  # connections before the last refusals
        self._since: float | None = None  # when the present window began
        self._received = 0  # bytes at that moment

    def refused(self, alive: int, now: float) -> None:
        """A server said "too many", or cut a connection, while `alive` others went on: no more than those for now."""
        if now >= self._rest_until:
            self._level = self.connections
        self.connections = max(1, min(self.connections, alive))
        self._before, self._best, self._rest_until = 0, 0.0, now + REST_S

    def lost(self, now: float) -> None:
        """Every connection is gone: it was the line, not their number. The next ones may be as many as before."""
        self.connections = max(self.connections, self._level)
        self._rest_until, self._since = now, None

    def update(self, now: float, received: int, left: int | None) -> int:
        """The connections that there should be, when `received` bytes are there at `now` and `left` are missing.

        Call it again and again; the first call begins the first window.
        """
        if self._fixed:
            self.connections = self._most if now >= self._rest_until else self.connections
            return self.connections
        if self._since is None or received < self._received:
            self._since, self._received = now, received
        passed = now - self._since
        if passed < STEP_S:
            return self.connections
        rate = (received - self._received) / passed
        self._since, self._received = now, received
        if self._before:
            self._judge(rate, now)
        if not self._before:
            self._best = (self._best + rate) / 2 if self._best else rate
            self._try_more(rate, now, left)
        return self.connections

    def _judge(self, rate: float, now: float) -> None:
        """Whether the step that is being tried pays."""
        if rate >= self._best * RISE:
            self._before, self._best = 0, 0.0
        elif now - self._tried_at >= PATIENCE_S:
            self.connections, self._before = self._before, 0
            self._rest_until = now + REST_S

    def _try_more(self, rate: float, now: float, left: int | None) -> None:
        worth = left is not None and left > rate * WORTH_S > 0
        if worth and self.connections < self._most and now >= self._rest_until:
            self._before, self._tried_at = self.connections, now
            self.connections = min(self._most, self.connections * 2)
