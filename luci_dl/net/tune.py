"""How many connections to use: found by measuring what the transfers wait for, so that the user need not choose."""

from __future__ import annotations

from luci_dl.frozen import frozen

MAX_CONNECTIONS = 16
STEP = 4
"""A step up multiplies the connections by this. It begins with one connection: if that takes long to be made, there is
a queue before the line, and others would only wait there, too."""
NETWORK_SHARE = 0.5
"""The network is the bottleneck if the transfers wait for it for this share of their time,"""
SINK_SHARE = 0.1
"""and for the sink for no more than this share."""
SLOW_SINK_SHARE, SLOW_SINK_S = 0.5, 1.0
"""If the transfers wait for the sink for this share of their time, for so long, fewer of them suffice: a step less."""
MIN_GROWTH = 1.1
"""While the rate grows by this factor between two measurements, the connections are still getting up to speed."""
MIN_GAIN = 1.15
"""After a step up, the rate must grow by this factor before the next one."""
MEASURE_S, MEASURE_ROUND_TRIPS = 0.1, 2
"""The waits and the rate are measured over this time."""
TRIAL_S, TRIAL_ROUND_TRIPS = 1.0, 8
"""A step may take this long to pay off."""
LONG_LINES = ((0.05, 16), (0.01, 4))
"""With a round trip of so many seconds, one connection takes long to fill a line: begin with so many, unmeasured."""
LONG_LINE_BYTES = 8 << 20
"""A file with less than this left to fetch is not worth that."""
BACKOFF_S = 20.0
"""After a step that did not pay off, or an overload, the next step waits this long: conditions change. As long it is
remembered that the network was the bottleneck with fewer connections."""
QUEUE_BACKOFF_S = 5.0
"""After a step whose first connection had to queue: it may have been by chance."""


@frozen
class Load:
    """What all connections of a fetch have done so far, those that have ended too.

    Attributes:
        received: bytes that are there.
        left: bytes still missing; None when unknown.
        active_s: seconds of receiving; of these, they waited `network_s` for the network and `sink_s` for the sink.
        round_trip_s: of the line; 0 when unknown.
        responding: connections that are there and have got a response.
        queueing: the newest of them took clearly longer to be made than another one.
    """

    received: int
    left: int | None
    active_s: float = 0.0
    network_s: float = 0.0
    sink_s: float = 0.0
    round_trip_s: float = 0.0
    responding: int = 0
    queueing: bool = False


class Tuner:
    """Adds connections while the network is the bottleneck and more of them raise the rate.

    A step that does not raise it is not undone: while the network is the bottleneck, more connections cost little. One
    that has to queue is: no transfer is cut off for that, but the next that ends is not followed by another one.

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
        self._is_new = True
        self._phase: tuple[float, Load] | None = None  # when the number last changed
        self._since: tuple[float, Load] = 0.0, Load(0, None)  # the beginning of the measurement
        self._peak = 0.0  # bytes per second, the highest so far
        self._before_step: float | None = None  # bytes per second before the step on trial; None: no step is on trial
        self._connections_before = 0  # connections before it, while its first one is being made; else 0
        self._backoff_until = 0.0
        self._before_overload = self.connections
        self._slow_since: float | None = None  # how long the sink has been the bottleneck
        self._too_few = 0  # with so many connections the network was it,
        self._too_few_until = 0.0  # and until then that counts

    def reduce(self, alive: int, now: float) -> None:
        """Use no more than the `alive` connections for a while: the server is overloaded, or dropped a connection."""
        if now >= self._backoff_until:
            self._before_overload = self.connections
        if self.connections > 1:
            self._backoff_until = now + BACKOFF_S
        self._limit(alive)

    def _limit(self, most: int) -> None:
        self.connections = max(1, min(self.connections, most))
        self._before_step, self._connections_before, self._phase = None, 0, None

    def recover(self, now: float) -> None:
        """Allow as many connections as before the losses: all were lost, so their number was not the cause."""
        self.connections = max(self.connections, self._before_overload)
        self._backoff_until, self._phase = now, None

    def update(self, now: float, load: Load) -> int:
        """The number of connections to use. Call it repeatedly; the first call begins the first measurement."""
        if self._fixed:
            self.connections = self.most if now >= self._backoff_until else self.connections
            return self.connections
        if self._is_new:
            self._begin(load)
        if self._phase is None or load.received < self._phase[1].received:
            self._begin_phase(now, load)
        if self._connections_before and load.responding >= self.connections:
            self._continue_step(now, load)
        began, before = self._since
        if now - began >= MEASURE_S + MEASURE_ROUND_TRIPS * load.round_trip_s:
            self._since = now, load
            self._judge(before, now - began, now, load)
        return self.connections

    def _begin(self, load: Load) -> None:
        """Begin with several connections if the line is long."""
        self._is_new = False
        if (load.left or 0) >= LONG_LINE_BYTES:
            fitting = (count for round_trip_s, count in LONG_LINES if load.round_trip_s >= round_trip_s)
            self.connections = max(self.connections, next(fitting, 1))

    def _begin_phase(self, now: float, load: Load) -> None:
        self._phase = self._since = now, load

    def _judge(self, before: Load, elapsed: float, now: float, load: Load) -> None:
        rate = (load.received - before.received) / elapsed
        is_growing, self._peak = rate > self._peak * MIN_GROWTH, max(rate, self._peak)
        active_s = max(load.active_s - before.active_s, 1e-9)
        network, sink = (load.network_s - before.network_s) / active_s, (load.sink_s - before.sink_s) / active_s
        self._slow_since = (self._slow_since or now) if sink >= SLOW_SINK_SHARE else None
        if self._slow_since is not None:
            self._relieve(now - self._slow_since, now, load)
        elif not (is_growing or self._connections_before) and self._phase:
            began, at_begin = self._phase
            self._end_trial(rate, now - began, now, load)
            average = (load.received - at_begin.received) / (now - began)
            if network >= NETWORK_SHARE and sink <= SINK_SHARE and (load.left or 0) > average * _trial_s(load) > 0:
                self._step(average, now)

    def _relieve(self, slow_s: float, now: float, load: Load) -> None:
        """Use fewer connections, if the sink has been slow for long with no more than these, and fewer may suffice."""
        fewer = max(1, self.connections // STEP)
        may_suffice = fewer > self._too_few or now >= self._too_few_until
        if slow_s >= SLOW_SINK_S and load.responding <= self.connections and may_suffice:
            self._limit(fewer)
            self._slow_since = None

    def _end_trial(self, rate: float, elapsed: float, now: float, load: Load) -> None:
        if self._before_step is None or not self._phase:
            return
        average = (load.received - self._phase[1].received) / elapsed
        if max(rate, average) >= self._before_step * MIN_GAIN:
            self._before_step = None
        elif elapsed >= _trial_s(load):
            self._before_step, self._backoff_until = None, now + BACKOFF_S

    def _step(self, average: float, now: float) -> None:
        if self._before_step is None and self.connections < self.most and now >= self._backoff_until:
            self._before_step, self._connections_before = average, self.connections
            self._too_few, self._too_few_until = self.connections, now + BACKOFF_S
            self.connections += 1

    def _continue_step(self, now: float, load: Load) -> None:
        """Make the other connections of a step, unless its first one had to queue."""
        if load.queueing:
            self.connections, self._before_step = self._connections_before, None
            self._backoff_until = now + QUEUE_BACKOFF_S
        else:
            self.connections = min(self.most, self._connections_before * STEP)
            self._begin_phase(now, load)
        self._connections_before = 0


def _trial_s(load: Load) -> float:
    return TRIAL_S + TRIAL_ROUND_TRIPS * load.round_trip_s
