"""What happens to a server and its hosts, and how often."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench_lib.fleet.bed import Bed
from bench_lib.fleet.clients import READER, SWARM
from bench_lib.fleet.engines import ALONE, ENGINES, SERVE, SHARED, Engine
from bench_lib.fleet.race import PATIENCE_S, During, Host, Lan, Outcome, lan
from bench_lib.fleet.upstream import Upstream
from bench_lib.measure import BenchError
from tests.procs import wait_until

RESTART_S = 2
CROWD = 100
HALF = 0.5


@contextmanager
def uplink_cut(lan: Lan) -> Iterator[None]:
    """The line is mended with the end of the LAN."""
    lan.bed.cut()
    yield


def one_byte_flipped(lan: Lan) -> AbstractContextManager[None]:
    return lan.upstream.wrong()


def server_killed(lan: Lan, hosts: Sequence[Host]) -> None:
    """At half, without a warning, and started again."""
    assert lan.server
    lan.wait_for(HALF)
    lan.server.kill()
    time.sleep(RESTART_S)
    lan.server.start()


def client_killed(lan: Lan, hosts: Sequence[Host]) -> None:
    """At half, without a warning."""
    lan.wait_for(HALF)
    hosts[-1].kill()


def peer_killed(lan: Lan, hosts: Sequence[Host]) -> None:
    """When the server has sent as much as the file has, without a warning."""
    enough = lan.bed.from_server() + lan.upstream.size
    wait_until(lambda: lan.bed.from_server() >= enough, PATIENCE_S, "the server's bytes")
    hosts[-1].kill()


@dataclass(frozen=True)
class Scenario:
    """What happens.

    Attributes:
        title: with the number of hosts to be filled in.
        hosts: how many; None: as many as are asked for. each: with every number that is asked for, not only the first.
        warm: the server has the file already.
        staggered: the last host starts when a host by itself would be done.
        under: what holds while the hosts fetch; during: what happens meanwhile.
        engines, clients: those that take part, of those that go together.
        patience: seconds, after which a host has failed.
        at_server: the hosts are clients on the server's own machine, so that no line is in their way.
    """

    name: str
    title: str
    hosts: int | None = None
    each: bool = False
    warm: bool = False
    staggered: bool = False
    under: Callable[[Lan], AbstractContextManager[object]] = nullcontext
    during: During | None = None
    engines: Sequence[Engine] = ENGINES
    clients: Sequence[str] = ("luci", SWARM, "hf", "curl")
    patience: float = PATIENCE_S
    at_server: bool = False


BY_ITSELF, COLD, STAGGERED, WARM, MANY = "alone", "cold", "staggered", "warm", "many"
CUT, KILLED, CLIENT, PEER, FLIPPED = "cut", "server-killed", "client-killed", "peer-killed", "flipped"
SCENARIOS = (
    Scenario(BY_ITSELF, "one host by itself", 1, engines=[ALONE]),
    Scenario(COLD, "cold, {hosts} hosts at once", each=True),
    Scenario(STAGGERED, "cold, {hosts} hosts one after the other", each=True, staggered=True, engines=[SERVE]),
    Scenario(WARM, "warm, {hosts} hosts at once", each=True, warm=True, engines=ENGINES[1:]),
    Scenario(CUT, "warm, the uplink cut, {hosts} hosts", warm=True, under=uplink_cut, engines=ENGINES[1:], patience=60),
    Scenario(
        KILLED,
        "the server killed at half, started again 2 s later, {hosts} hosts",
        during=server_killed,
        engines=[SERVE],
    ),
    Scenario(CLIENT, "a client killed at half, {hosts} hosts", during=client_killed, engines=[SERVE], clients=["luci"]),
    Scenario(
        PEER,
        "warm, a host killed that shares, {hosts} hosts",
        each=True,
        warm=True,
        during=peer_killed,
        engines=[SHARED],
    ),
    Scenario(FLIPPED, "one byte flipped at the Hub, {hosts} hosts", under=one_byte_flipped, patience=60),
    Scenario(
        MANY,
        "warm, {hosts} clients on the server's own machine",
        CROWD,
        warm=True,
        engines=ENGINES[1:],
        clients=[READER],
        at_server=True,
    ),
)


@dataclass(frozen=True)
class Case:
    """One engine and one client in one scenario."""

    scenario: str
    hosts: int
    engine: str
    client: str


Results = dict[Case, list[Outcome]]
"""The outcomes of each case, one a round."""


def cases(scenarios: Sequence[Scenario], engines: Sequence[Engine], numbers: Sequence[int]) -> list[Case]:
    """Of those scenarios with those engines, with each of the numbers of hosts."""
    return [
        Case(scenario.name, hosts, engine.name, client)
        for scenario in scenarios
        for hosts in ([scenario.hosts] if scenario.hosts else numbers if scenario.each else numbers[:1])
        for engine in engines
        if engine in scenario.engines
        for client in scenario.clients
        if client in engine.clients
    ]


def in_rounds(bed: Bed, upstream: Upstream, folder: Path, wanted: Sequence[Case], rounds: int) -> Results:
    """Every case once a round, in a shuffled order. One that cannot be run is left out, and reported.

    Ctrl+C ends the rounds; what was measured before counts.
    """
    results: Results = {case: [] for case in wanted}
    order = [case for number in range(1, rounds + 1) for case in random.Random(number).sample(wanted, len(wanted))]
    try:
        for case in order:
            if case in results:
                _try(results, case, bed, upstream, folder)
    except KeyboardInterrupt:
        print("Interrupted: this is what was measured so far.", file=sys.stderr)
    return results


def _try(results: Results, case: Case, bed: Bed, upstream: Upstream, folder: Path) -> None:
    try:
        outcome = run(bed, upstream, folder, case)
    except (BenchError, AssertionError) as error:  # the latter from wait_until
        print(f"{case} is left out: {error}", file=sys.stderr)
        del results[case]
    else:
        results[case].append(outcome)
        print(f"{outcome.slowest:7.2f} s, {outcome.copies:.2f} copies  {case}", *outcome.failures[:1], file=sys.stderr)


def run(bed: Bed, upstream: Upstream, folder: Path, case: Case) -> Outcome:
    """One case, from a server that has nothing. Raises: BenchError."""
    scenario = BY_NAME[case.scenario]
    engine = next(engine for engine in ENGINES if engine.name == case.engine)
    apart = upstream.size * 8 / (bed.wan_mbit * 1e6) / case.hosts if scenario.staggered else 0
    machines = [bed.server] if scenario.at_server else bed.hosts  # several hosts on one, if there are not enough
    ends = [machines[number % len(machines)] for number in range(case.hosts)]
    with lan(bed, upstream, engine, folder) as ready:
        if scenario.warm:
            ready.warm_up()
        with scenario.under(ready):
            return ready.fetch(case.client, ends, apart, scenario.during, scenario.patience)


BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}
