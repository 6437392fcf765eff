"""The number of connections, on simulated lines."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from luci_dl.net.tune import (
    BACKOFF_S,
    LONG_LINE_BYTES,
    MAX_CONNECTIONS,
    MEASURE_ROUND_TRIPS,
    MEASURE_S,
    QUEUE_BACKOFF_S,
    SLOW_SINK_S,
    STEP,
    TRIAL_S,
    Load,
    Tuner,
)

TICK_S = 0.05
MANY = 1 << 50


@dataclass
class Line:
    """A download over a line, and what its transfers wait for.

    Attributes:
        each: bytes per second that one connection can get.
        line: that all together can get.
        sink: that the disk and the hash take.
        round_trip_s: of the line.
        start: bytes per second that a connection begins with; they double with each `doubling_s`.
        left: bytes to fetch.
        queueing: new connections have to wait before it.
        answer_s: seconds until a new connection has got a response.
        tuner: decides on the connections.
    """

    each: float = 1e12
    line: float = 1e12
    sink: float = 1e12
    round_trip_s: float = 0.0
    start: float = 1e12
    doubling_s: float = 1.0
    left: int = MANY
    queueing: bool = False
    answer_s: float = 0.0
    tuner: Tuner | None = None

    def __post_init__(self) -> None:
        self.tuner = self.tuner or Tuner()
        self.now = self.received = self.active_s = self.network_s = self.sink_s = 0.0
        self.ages: list[float] = []  # of the connections

    def run(self, seconds: float) -> list[int]:
        """The connections after each tick."""
        history: list[int] = []
        until = self.now + seconds
        while self.now < until:
            history.append(self._tick())
        return history

    def _tick(self) -> int:
        assert self.tuner
        load = Load(
            int(self.received),
            int(self.left - self.received),
            self.active_s,
            self.network_s,
            self.sink_s,
            self.round_trip_s,
            responding=sum(age >= self.answer_s for age in self.ages),
            queueing=self.queueing,
        )
        connections = self.tuner.update(self.now, load)
        self.ages = [age + TICK_S for age in [*self.ages, *[0.0] * connections][:connections]]
        brought = min(self.line, sum(map(self._offered, self.ages)))
        taken = min(brought, self.sink)
        self.received = min(self.left, self.received + taken * TICK_S)
        self.active_s += connections * TICK_S
        self.network_s += connections * TICK_S * (0.9 if brought < self.sink else 0.05)
        self.sink_s += connections * TICK_S * (0.9 if brought > self.sink else 0.02)
        self.now += TICK_S
        return connections

    def _offered(self, age: float) -> float:
        return min(self.each, self.start * 2 ** min(age / self.doubling_s, 60))


def test_a_server_that_limits_each_connection_gets_many_soon() -> None:
    """Sixteen run within two thirds of a second, and stay."""
    history = Line(each=20e6).run(3.0)
    assert history.index(MAX_CONNECTIONS) * TICK_S <= 2 / 3
    assert set(history[history.index(MAX_CONNECTIONS) :]) == {MAX_CONNECTIONS}


@pytest.mark.parametrize(("filled_by", "steps"), [(1, [1, 2, STEP]), (STEP, [1, 2, STEP, STEP + 1, MAX_CONNECTIONS])])
def test_a_step_that_does_not_pay_is_neither_undone_nor_followed(filled_by: int, steps: list[int]) -> None:
    """No transfer is cut off for it."""
    history = Line(each=5e6, line=5e6 * filled_by).run(BACKOFF_S - 1)
    assert sorted(set(history)) == steps
    assert history == sorted(history)


def test_a_step_goes_on_when_its_first_connection_has_a_response() -> None:
    """Then it is known whether that one had to queue."""
    line = Line(each=20e6, answer_s=0.4)
    history = line.run(1.5)
    assert 0.4 <= history.count(2) * TICK_S <= 0.4 + 2 * TICK_S
    assert STEP in history


def test_a_step_is_given_up_if_its_first_connection_has_to_queue() -> None:
    """The line is full: one more is tried now and then, and goes again."""
    line = Line(each=5e6, queueing=True)
    history = line.run(4 * QUEUE_BACKOFF_S)
    assert set(history) == {1, 2}
    assert history.count(2) < 10
    assert history[-1] == 1
    line.queueing = False
    assert line.run(BACKOFF_S)[-1] == MAX_CONNECTIONS


def test_the_rate_before_a_step_is_an_average() -> None:
    """If the line was slow for a moment just then, the step has not paid off."""
    line = Line(each=5e6, line=5e6)
    line.run(MEASURE_S)
    line.line = 4e6
    while line.run(TICK_S) == [1]:
        pass
    line.line = 5e6
    assert line.run(BACKOFF_S)[-1] == STEP


def test_a_slow_sink_takes_a_step_back_only_when_the_last_one_is_done() -> None:
    """Transfers that are under way are not cut off for it, so it takes a while."""
    tuner = Tuner()
    for tick in range(100):
        now = tick * TICK_S + 1
        load = Load(int(now * 1e8), MANY, 16 * now, 0.1 * now, 15 * now, round_trip_s=0.06, responding=16)
        tuner.update(now, load)
    assert tuner.connections == MAX_CONNECTIONS // STEP


def test_a_step_that_does_not_pay_is_followed_later() -> None:
    """Conditions change: after a while the next step is tried."""
    line = Line(each=5e6, line=5e6)
    assert line.run(BACKOFF_S)[-1] == STEP
    assert line.run(TRIAL_S + 1)[-1] == MAX_CONNECTIONS


def test_a_slow_sink_gets_no_more_connections() -> None:
    """The network has more than the sink takes."""
    assert set(Line(each=2e9, sink=1e9).run(30)) == {1}


def test_a_sink_that_becomes_slow_gets_fewer_connections() -> None:
    """They were added while the network was slow; the disk has become the bottleneck, and stays it."""
    line = Line(each=20e6)
    assert line.run(2)[-1] == MAX_CONNECTIONS
    line.sink = 10e6
    assert line.run(BACKOFF_S + 4 * SLOW_SINK_S)[-1] == 1
    assert set(line.run(BACKOFF_S)) == {1}


@pytest.mark.parametrize("line", [Line(each=20e6), Line(each=20e6, round_trip_s=0.06)])
def test_a_sink_that_is_slow_for_a_moment_changes_nothing(line: Line) -> None:
    """A disk that stalls for half a second, over and over, costs no connection."""
    line.run(2)
    for _ in range(5):
        line.sink = 1e6
        assert set(line.run(SLOW_SINK_S / 2)) == {MAX_CONNECTIONS}
        line.sink = 1e12
        assert set(line.run(1)) == {MAX_CONNECTIONS}


@pytest.mark.parametrize("round_trip_s", [0.0, 0.06])
def test_fewer_connections_than_the_sink_takes_are_not_kept(round_trip_s: float) -> None:
    """Four bring less than the sink takes, sixteen more: nearly all the time there are sixteen."""
    history = Line(each=40e6, sink=300e6, round_trip_s=round_trip_s).run(60)
    assert history.count(MAX_CONNECTIONS) > 0.9 * len(history)


@pytest.mark.parametrize(("network", "sink"), [(0.3, 0.02), (0.6, 0.3), (0.05, 0.05)])
def test_a_network_that_is_not_waited_for_is_not_the_bottleneck(network: float, sink: float) -> None:
    """Neither when both are waited for, nor when neither is: then the processor is the limit."""
    tuner = Tuner()
    for tick in range(200):
        now = tick * TICK_S
        tuner.update(now, Load(int(now * 1e8), MANY, now, network * now, sink * now))
    assert tuner.connections == 1


@pytest.mark.parametrize(
    ("round_trip_s", "count"), [(0.003, 1), (0.009, 1), (0.011, STEP), (0.049, STEP), (0.051, MAX_CONNECTIONS)]
)
def test_a_long_line_begins_with_several_connections(round_trip_s: float, count: int) -> None:
    """One would need many round trips to fill it. The next step has to pay, and is measured over round trips, too."""
    line = Line(each=5e6, round_trip_s=round_trip_s)
    history = line.run(10 * round_trip_s + TRIAL_S)
    assert history[0] == count
    measured_s = 2 * (MEASURE_S + MEASURE_ROUND_TRIPS * round_trip_s)  # the second time shows that it does not grow
    assert count == MAX_CONNECTIONS or history.index(MAX_CONNECTIONS) * TICK_S >= measured_s


def test_connections_that_get_up_to_speed_are_waited_for() -> None:
    """While the rate grows by itself, there is no step."""
    line = Line(start=10_000, doubling_s=0.2)
    assert set(line.run(3)) == {1}


def test_a_step_has_time_to_pay() -> None:
    """Connections that are slow at first are not judged before they have reached their rate."""
    line = Line(each=3e6, sink=2.9e6, start=10_000, doubling_s=0.2)
    assert set(line.run(5)) == {1}
    line.sink = 1e12
    history = line.run(2 * TRIAL_S + 1)
    assert sorted(set(history)) == [1, 2, STEP, STEP + 1, MAX_CONNECTIONS]


@pytest.mark.parametrize("left", [LONG_LINE_BYTES - 1, 0])
def test_a_small_rest_on_a_long_line_gets_one_connection(left: int) -> None:
    """Others would bring little before it has ended."""
    tuner = Tuner()
    assert tuner.update(0.0, Load(0, left, round_trip_s=0.2)) == 1


def test_near_the_end_no_step_is_tried() -> None:
    """It could not pay off before all is there."""
    assert set(Line(each=20e6, left=int(20e6 * TRIAL_S)).run(1.0)) == {1}


def test_a_size_that_is_unknown_is_fetched_by_one_connection() -> None:
    """Nothing can be divided."""
    tuner = Tuner()
    loads = (Load(int(tick * 1e6), None, tick * 0.1, tick * 0.09) for tick in range(100))
    assert {tuner.update(tick * 0.1, load) for tick, load in enumerate(loads)} == {1}


@pytest.mark.parametrize("fixed", [None, 16])
def test_after_an_overload_there_are_fewer_for_a_while(fixed: int | None) -> None:
    """After a 429 on the third connection, no more than two for twenty seconds; then more are tried again."""
    line = Line(each=20e6, tuner=Tuner(fixed))
    assert line.run(2)[-1] == MAX_CONNECTIONS
    assert line.tuner
    line.tuner.reduce(2, line.now)
    assert set(line.run(BACKOFF_S - 2 * TICK_S)) == {2}
    assert line.run(5)[-1] == MAX_CONNECTIONS


@pytest.mark.parametrize("fixed", [None, 16])
def test_after_an_outage_there_are_as_many_as_before(fixed: int | None) -> None:
    """If all connections were lost, one after the other, their number was not the cause."""
    line = Line(each=20e6, tuner=Tuner(fixed))
    line.run(3)
    assert line.tuner
    for alive in (12, 5, 1):
        line.tuner.reduce(alive, line.now)
    line.tuner.recover(line.now)
    assert set(line.run(1)) == {MAX_CONNECTIONS}


@pytest.mark.parametrize("fixed", [1, 3, 16])
def test_a_fixed_number_is_kept(fixed: int) -> None:
    """The user's number is not changed by measuring."""
    for line in (Line(each=20e6), Line(sink=1e6), Line(line=1e6, round_trip_s=0.2)):
        line.tuner = Tuner(fixed)
        assert set(line.run(5)) == {fixed}
