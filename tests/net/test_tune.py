"""The number of connections, on simulated lines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from luci_dl.net.tune import BACKOFF_S, MAX_CONNECTIONS, Tuner

TICK_S = 0.1


def run(tuner: Tuner, rate: Callable[[int], float], seconds: float, left: int = 1 << 50) -> list[int]:
    """The connections after each tick, on a line with `rate(connections)` bytes per second."""
    history, received, now = [], 0, 0.0
    while now < seconds:
        history.append(tuner.update(now, received, left - received))
        received += int(rate(history[-1]) * TICK_S)
        now += TICK_S
    return history


def test_a_throttled_line_gets_many_connections_soon() -> None:
    """If each connection is limited to 20 MB/s, sixteen run within two seconds."""
    assert run(Tuner(), lambda connections: 20e6 * connections, 2.0)[-1] == MAX_CONNECTIONS


def test_a_full_line_keeps_one_connection() -> None:
    """If a second connection gains nothing, it is dropped, and tried again much later."""
    history = run(Tuner(), lambda _connections: 100e6, BACKOFF_S)
    assert max(history) == 2
    assert history[-1] == 1
    assert history.count(2) <= 2.0 / TICK_S


def test_the_last_step_that_does_not_pay_off_is_undone() -> None:
    """A line that four connections saturate keeps four."""
    history = run(Tuner(), lambda connections: 25e6 * min(connections, 4), 10)
    assert max(history) == 8
    assert history[-1] == 4


def test_a_step_is_tried_again_later() -> None:
    """After a while, a step that did not pay off is tried once more."""
    tuner = Tuner()
    run(tuner, lambda _connections: 100e6, 5)
    assert tuner.connections == 1
    later = [tuner.update(100 + tick * TICK_S, int(1e9 + tick * 1e7), 1 << 50) for tick in range(10)]
    assert max(later) >= 2


def test_near_the_end_no_step_is_tried() -> None:
    """With less than two seconds to go, one connection is enough."""
    assert set(run(Tuner(), lambda connections: 20e6 * connections, 1.5, left=30_000_000)) == {1}


@pytest.mark.parametrize("fixed", [None, 16])
def test_after_an_overload_there_are_fewer_for_a_while(fixed: int | None) -> None:
    """After a 429 on the third connection, no more than two for twenty seconds; then more are tried again."""
    tuner = Tuner(fixed)
    run(tuner, lambda connections: 20e6 * connections, 1.0)
    tuner.reduce(2, 0.0)
    history = run(tuner, lambda connections: 20e6 * connections, BACKOFF_S + 5)
    assert set(history[: int(BACKOFF_S / TICK_S) - 1]) == {2}
    assert history[-1] == MAX_CONNECTIONS


@pytest.mark.parametrize("fixed", [None, 16])
def test_after_an_outage_there_are_as_many_as_before(fixed: int | None) -> None:
    """If all connections were lost, one after the other, their number was not the cause."""
    tuner = Tuner(fixed)
    run(tuner, lambda connections: 20e6 * connections, 3.0)
    for alive in (12, 5, 1):
        tuner.reduce(alive, 3.0)
    tuner.recover(3.1)
    assert run(tuner, lambda connections: 20e6 * connections, 1.0)[-1] == MAX_CONNECTIONS


@pytest.mark.parametrize("fixed", [1, 3, 16])
def test_a_fixed_number_is_kept(fixed: int) -> None:
    """The user's number is not changed by measuring."""
    assert set(run(Tuner(fixed), lambda connections: 20e6 * connections, 5)) == {fixed}
