"""Every tool fetches the same file from the same server, round after round, in an order that changes."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from bench_lib.ground import File, Ground, Site
from bench_lib.measure import BenchError, Run, Runs, measure
from bench_lib.peers import Tool


@dataclass(frozen=True)
class Scenario:
    """A kind of server: what its results are called, and what a reader is told of it."""

    name: str
    title: str
    tls: bool = False
    limit_rate: str = "0"


SCENARIOS = (
    Scenario("plain", "Plain HTTP"),
    Scenario("tls", "TLS 1.3", tls=True),
    Scenario("throttled", "20 MB/s per connection (with only one, every tool takes as long as curl)", limit_rate="20m"),
)


def race(ground: Ground, scenario: Scenario, tools: Iterable[Tool], rounds: int) -> Runs:
    """The runs of those tools that take part in the scenario."""
    with ground.site(scenario.tls, scenario.limit_rate) as site:
        mine = [tool for tool in tools if scenario.name in tool.scenarios]
        return in_rounds({tool.name: partial(fetch, ground, site, tool) for tool in mine}, rounds)


def in_rounds(measurements: Mapping[str, Callable[[], Run]], rounds: int, warm_up: bool = True) -> Runs:
    """Make every measurement once a round, in a shuffled order, after a round that is not counted (the warm-up).

    One that fails is left out, and said.
    """
    results: Runs = {name: [] for name in measurements}
    for number in range(0 if warm_up else 1, rounds + 1):
        for name in random.Random(number).sample(sorted(results), len(results)):
            try:
                run = measurements[name]()
            except (BenchError, AssertionError) as error:  # the latter from wait_until
                print(f"{name} is left out: {error}", file=sys.stderr)
                del results[name]
                continue
            print(f"round {number}: {run.seconds:7.3f} s  {name}", file=sys.stderr)
            if number:
                results[name].append(run)
    return results


def fetch(ground: Ground, site: Site, tool: Tool, file: File | None = None) -> Run:
    """One run of the tool. Raises: BenchError, when it fails or the file is wrong."""
    with ground.job(site, file) as job:
        run = measure(tool.command(job), job.env, job.run / "log")
        if not tool.is_floor:
            job.check()
    return run
