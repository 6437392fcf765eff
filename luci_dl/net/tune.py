"""How many connections to use: found by measuring, so that the user need not choose."""

from __future__ import annotations

MAX_CONNECTIONS = 16
MIN_GAIN = 1.15
"""After a step up, the rate must grow by this factor, or the step is undone."""
MEASURE_S = 0.18
"""The rate is measured over this time. A step that has paid off by then is kept."""
TRIAL_S = 1.5
"""A step that has not paid off after this time is undone. New connections start slowly."""
MIN_REMAINING_S = 2.0
"""No step is tried when the rest of the file takes less time than this at the current rate."""
BACKOFF_S = 20.0
"""After a step that did not pay off, or an overload, the next step waits this long: conditions change."""


class Tuner:
    """Doubles the connections while that raises the throughput, and goes back when it does not.

    Args:
        fixed: use this many connections, without measuring; None to measure.

    Attributes:
        connections: the number to use now.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self.connections = fixed or 1
        self._max = fixed or MAX_CONNECTIONS
        self._fixed = fixed is not None
        self._before_step = 0  # connections before the step on trial; 0: no step is on trial
        self._step_began = 0.0
        self._backoff_until = 0.0
        self._typical_rate = 0.0  # bytes per second without the step on trial
        self._before_overload = self.connections
        self._measuring_since: float | None = None
        self._received = 0  # bytes when the measurement began

    def reduce(self, alive: int, now: float) -> None:
        """Use no more than the `alive` connections for a while: the server is overloaded, or dropped a connection."""
        if now >= self._backoff_until:
            self._before_overload = self.connections
        self.connections = max(1, min(self.connections, alive))
        self._before_step, self._typical_rate, self._backoff_until = 0, 0.0, now + BACKOFF_S

    def recover(self, now: float) -> None:
        """Allow as many connections as before the losses: all were lost, so their number was not the cause."""
        self.connections = max(self.connections, self._before_overload)
        self._backoff_until, self._measuring_since = now, None

    def update(self, now: float, received: int, left: int | None) -> int:
        """The number of connections to use. Call it repeatedly; the first call begins the first measurement.

        Args:
            received: bytes that are there at the time `now`.
            left: bytes still missing; None when unknown.
        """
        if self._fixed:
            self.connections = self._max if now >= self._backoff_until else self.connections
            return self.connections
        if self._measuring_since is None or received < self._received:
            self._measuring_since, self._received = now, received
        elapsed = now - self._measuring_since
        if elapsed < MEASURE_S:
            return self.connections
        rate = (received - self._received) / elapsed
        self._measuring_since, self._received = now, received
        if self._before_step:
            self._judge_step(rate, now)
        if not self._before_step:
            self._typical_rate = (self._typical_rate + rate) / 2 if self._typical_rate else rate
            self._try_step(rate, now, left)
        return self.connections

    def _judge_step(self, rate: float, now: float) -> None:
        if rate >= self._typical_rate * MIN_GAIN:
            self._before_step, self._typical_rate = 0, 0.0
        elif now - self._step_began >= TRIAL_S:
            self.connections, self._before_step = self._before_step, 0
            self._backoff_until = now + BACKOFF_S

    def _try_step(self, rate: float, now: float, left: int | None) -> None:
        worth_it = left is not None and left > rate * MIN_REMAINING_S > 0
        if worth_it and self.connections < self._max and now >= self._backoff_until:
            self._before_step, self._step_began = self.connections, now
            self.connections = min(self._max, self.connections * 2)
