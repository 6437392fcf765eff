"""How many connections to use: found by measuring what the transfers wait for, so that the user need not choose."""

from __future__ import annotations

from dataclasses import dataclass

MAX_CONNECTIONS = 16
STEP = 4
"""A step up multiplies the connections by this."""
NETWORK_SHARE = 0.5
"""The network is the bottleneck if the transfers wait for it for this share of their time,"""
SINK_SHARE = 0.1
"""and for the sink for no more than this share."""
SLOW_SINK_SHARE = 0.5
"""If the transfers wait for the sink for this share of their time, fewer of them suffice."""
MIN_GAIN = 1.15
"""After a step up, the rate must grow by this factor before the next one."""
MEASURE_S, MEASURE_ROUND_TRIPS = 0.1, 2
"""The waits and the rate are measured over this time."""
TRIAL_S, TRIAL_ROUND_TRIPS = 1.0, 8
"""A step may take this long to pay off: new connections start slowly."""
LONG_LINE_S = 0.004
"""With a longer round trip, one connection takes long to fill a line. So the first step need not be measured."""
LONG_LINE_BYTES = 8 << 20
"""A file with less than this left to fetch is not worth that step."""
BACKOFF_S = 20.0
"""After a step that did not pay off, or an overload, the next step waits this long: conditions change."""


@dataclass(frozen=True)
class Load:
    """What all connections of a fetch have done so far, those that have ended too.

    Attributes:
        received: bytes that are there.
        left: bytes still missing; None when unknown.
        active_s: seconds of receiving; of these, they waited `network_s` for the network and `sink_s` for the sink.
        round_trip_s: of the line; 0 when unknown.
    """

    received: int
    left: int | None
    active_s: float = 0.0
    network_s: float = 0.0
    sink_s: float = 0.0
    round_trip_s: float = 0.0


class Tuner:
    """Adds connections while the network is the bottleneck and more of them raise the rate.

    A step that does not raise it is not undone: no transfer is cut off for that, and while the network is the
    bottleneck more connections cost little.

    Args:
        fixed: use this many connections, without measuring; None to measure.

    Attributes:
        connections: the number to use now.
        most: the most there can be.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self.connections = fixed or 1
        self.most = fixed or MAX_CONNECTIONS
        self._fixed = fixed is not None
        self._before_step: float | None = None  # bytes per second before the step on trial; None: no step is on trial
        self._step_began = 0.0
        self._backoff_until = 0.0
        self._before_overload = self.connections
        self._since: tuple[float, Load] | None = None  # the beginning of the measurement

    def reduce(self, alive: int, now: float) -> None:
        """Use no more than the `alive` connections for a while: the server is overloaded, or dropped a connection."""
        if now >= self._backoff_until:
            self._before_overload = self.connections
        self.connections = max(1, min(self.connections, alive))
        self._before_step, self._backoff_until = None, now + BACKOFF_S

    def recover(self, now: float) -> None:
        """Allow as many connections as before the losses: all were lost, so their number was not the cause."""
        self.connections = max(self.connections, self._before_overload)
        self._backoff_until, self._since = now, None

    def update(self, now: float, load: Load) -> int:
        """The number of connections to use. Call it repeatedly; the first call begins the first measurement."""
        if self._fixed:
            self.connections = self.most if now >= self._backoff_until else self.connections
            return self.connections
        if self._since is None or load.received < self._since[1].received:
            is_first, self._since = self._since is None, (now, load)
            if is_first and load.round_trip_s >= LONG_LINE_S and (load.left or 0) >= LONG_LINE_BYTES:
                self._step(0.0, now)
            return self.connections
        began, before = self._since
        if now - began >= MEASURE_S + MEASURE_ROUND_TRIPS * load.round_trip_s:
            self._since = now, load
            self._judge(before, load, now - began, now)
        return self.connections

    def _judge(self, before: Load, load: Load, elapsed: float, now: float) -> None:
        rate = (load.received - before.received) / elapsed
        active_s = max(load.active_s - before.active_s, 1e-9)
        network, sink = (load.network_s - before.network_s) / active_s, (load.sink_s - before.sink_s) / active_s
        if self._before_step is not None:
            if rate >= self._before_step * MIN_GAIN:
                self._before_step = None
            elif now - self._step_began >= TRIAL_S + TRIAL_ROUND_TRIPS * load.round_trip_s:
                self._before_step, self._backoff_until = None, now + BACKOFF_S
        if sink >= SLOW_SINK_SHARE:
            self.connections = max(1, self.connections // STEP)
            self._before_step, self._backoff_until = None, now + BACKOFF_S
        elif self._before_step is None and network >= NETWORK_SHARE and sink <= SINK_SHARE:
            worth_it = load.left is not None and load.left > rate * (TRIAL_S + TRIAL_ROUND_TRIPS * load.round_trip_s)
            if worth_it and rate > 0:
                self._step(rate, now)

    def _step(self, rate: float, now: float) -> None:
        if self.connections < self.most and now >= self._backoff_until:
            self._before_step, self._step_began = rate, now
            self.connections = min(self.most, self.connections * STEP)
