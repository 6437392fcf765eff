"""What `luci serve` must reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from bench_lib.fleet.clients import READER, SWARM
from bench_lib.fleet.engines import ALONE, SERVE, SHARED
from bench_lib.fleet.race import Outcome
from bench_lib.fleet.scenarios import (
    BY_ITSELF,
    CLIENT,
    COLD,
    CUT,
    FLIPPED,
    KILLED,
    MANY,
    PEER,
    STAGGERED,
    WARM,
    Case,
    Results,
)

COPIES, COPIES_AFTER_A_KILL, SLOWEST, SLOWED_DOWN = 1.02, 1.05, 1.10, 1.05
SWARM_AGAINST_STAR, SWARM_SLOWED_DOWN = 0.4, 1.10
SWARM_HOSTS, SWARM_MBIT = 16, 200
"""So many hosts at least, on a LAN of that rate at most: with fewer, or on a faster one, a swarm gains less."""
PEAK_MIB, MS_A_GIB = 64, 300
CLIENTS = ("luci", "hf", "curl")


@dataclass(frozen=True)
class Measured:
    """All that was measured, and over what."""

    results: Results
    size: int
    lan_mbit: float
    wan_mbit: float

    def outcomes_of(self, case: Case) -> list[Outcome]:
        """Raises: LookupError, when there are none."""
        if outcomes := self.results[case]:
            return outcomes
        raise LookupError(case)

    def outcomes(self, scenario: str, hosts: int, client: str = "luci") -> list[Outcome]:
        """Those of `luci serve`. Raises: LookupError, when there are none."""
        return self.outcomes_of(Case(scenario, hosts, SERVE.name, client))

    def slowest_of(self, case: Case) -> float:
        """Seconds; infinite when hosts have failed in most rounds. Raises: LookupError, when there are none."""
        return median(outcome.slowest for outcome in self.outcomes_of(case))

    def floor(self, hosts: int) -> float:
        """Seconds: what one host takes by itself, or what the LAN takes for all, whichever is longer."""
        return max(self.slowest_of(Case(BY_ITSELF, 1, ALONE.name, "luci")), self.lan_floor(hosts))

    def lan_floor(self, hosts: int) -> float:
        """Seconds that the server's line takes for all."""
        return hosts * self.size * 8 / (self.lan_mbit * 1e6)

    def numbers(self, scenario: str) -> list[int]:
        """The numbers of hosts with which that was measured."""
        return sorted({case.hosts for case in self.results if case.scenario == scenario})


@dataclass(frozen=True)
class Goal:
    """Something to measure and the most that it may be. `measure` raises LookupError, where it was not measured."""

    what: str
    limit: float
    unit: str
    measure: Callable[[], float]

    def measured(self) -> float | None:
        """None when it was not measured."""
        try:
            return self.measure()
        except LookupError:
            return None


def goals(measured: Measured) -> Iterator[Goal]:
    """Those for which something was run."""
    for scenario, title in ((COLD, "cold, at once"), (STAGGERED, "cold, one after the other")):
        for hosts in measured.numbers(scenario):
            yield Goal(f"{title}, {hosts} hosts: copies", COPIES, "", _copies(measured, scenario, hosts))
            yield Goal(f"{title}, {hosts} hosts: slowest", SLOWEST, "×", _against_floor(measured, scenario, hosts))
    for hosts in measured.numbers(WARM):
        yield Goal(f"warm, {hosts} hosts: copies", COPIES - 1, "", _copies(measured, WARM, hosts))
        if hosts >= SWARM_HOSTS and measured.lan_mbit <= SWARM_MBIT:
            against = _shared(measured, WARM, hosts, _by_luci(WARM, hosts))
            yield Goal(f"warm, {hosts} hosts: --swarm against without", SWARM_AGAINST_STAR, "×", against)
    for hosts in measured.numbers(PEER):
        against = _shared(measured, PEER, hosts, _by_swarm(WARM, hosts))
        yield Goal(f"a host killed that shares, {hosts} hosts: slowest", SWARM_SLOWED_DOWN, "×", against)
    for hosts in measured.numbers(KILLED):
        yield Goal("the server killed: copies", COPIES_AFTER_A_KILL, "", _copies(measured, KILLED, hosts))
        yield Goal("the server killed: hosts that fail", 0, "", _failed(measured, KILLED, hosts, "luci"))
    for hosts in measured.numbers(CLIENT):
        yield Goal("a client killed: slowest, against none killed", SLOWED_DOWN, "×", _against_cold(measured, hosts))
    for client in CLIENTS:
        for hosts in measured.numbers(FLIPPED):
            yield Goal(f"one byte flipped: complete, {client}", 0, "", _complete(measured, hosts, client))
        for hosts in measured.numbers(CUT):
            yield Goal(f"the uplink cut: hosts that fail, {client}", 0, "", _failed(measured, CUT, hosts, client))
    for hosts in measured.numbers(MANY):
        yield Goal(f"{hosts} clients: the server's peak memory", PEAK_MIB, "MiB", _peak_mib(measured, hosts))
        yield Goal(f"{hosts} clients: the server's processor, a GiB", MS_A_GIB, "ms", _ms_a_gib(measured, hosts))


def _by_luci(scenario: str, hosts: int) -> Case:
    return Case(scenario, hosts, SERVE.name, "luci")


def _by_swarm(scenario: str, hosts: int) -> Case:
    return Case(scenario, hosts, SHARED.name, SWARM)


def _shared(measured: Measured, scenario: str, hosts: int, other: Case) -> Callable[[], float]:
    return lambda: measured.slowest_of(_by_swarm(scenario, hosts)) / measured.slowest_of(other)


def _copies(measured: Measured, scenario: str, hosts: int) -> Callable[[], float]:
    return lambda: median(outcome.copies for outcome in measured.outcomes(scenario, hosts))


def _against_floor(measured: Measured, scenario: str, hosts: int) -> Callable[[], float]:
    return lambda: measured.slowest_of(_by_luci(scenario, hosts)) / measured.floor(hosts)


def _against_cold(measured: Measured, hosts: int) -> Callable[[], float]:
    return lambda: measured.slowest_of(_by_luci(CLIENT, hosts)) / measured.slowest_of(_by_luci(COLD, hosts))


def _failed(measured: Measured, scenario: str, hosts: int, client: str) -> Callable[[], float]:
    """In the worst round."""
    return lambda: max(outcome.wrong + len(outcome.failures) for outcome in measured.outcomes(scenario, hosts, client))


def _complete(measured: Measured, hosts: int, client: str) -> Callable[[], float]:
    """In the worst round."""
    return lambda: max(outcome.complete for outcome in measured.outcomes(FLIPPED, hosts, client))


def _peak_mib(measured: Measured, hosts: int) -> Callable[[], float]:
    return lambda: max(outcome.peak for outcome in measured.outcomes(MANY, hosts, READER)) / 2**20


def _ms_a_gib(measured: Measured, hosts: int) -> Callable[[], float]:
    return lambda: median(ms_a_gib(outcome) for outcome in measured.outcomes(MANY, hosts, READER))


def ms_a_gib(outcome: Outcome) -> float:
    """The server's milliseconds of CPU for each GiB that it has sent."""
    return 1000 * outcome.cpu / (outcome.sent / 2**30) if outcome.sent else 0.0
