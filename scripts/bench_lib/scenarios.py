"""Every tool fetches the same file from the same server, round after round, in an order that changes."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from bench_lib.ground import File, Ground, Site
from bench_lib.lines import Line
from bench_lib.measure import BenchError, Run, Runs, measure
from bench_lib.peers import DISK_ALONE, FLOOR, LINE_ALONE, Tool


@dataclass(frozen=True)
class Scenario:
    """A kind of server and of line to it.

    Attributes:
        name: what its results are called; title: what a reader is told of it.
        tools: those that take part, by name.
        limit_rate: of each connection, as nginx has it.
        size: of the file; None: as asked for.
        sparse: it is zeros, for the most part.
    """

    name: str
    title: str
    tools: tuple[str, ...]
    tls: bool = False
    limit_rate: str = "0"
    line: Line | None = None
    size: int | None = None
    sparse: bool = False


MIB = 1 << 20
ARIA2C = tuple(f"aria2c -x{count}{checksum}" for count in (4, 16) for checksum in ("", " --checksum"))
LUCI = ("luci", "luci -c 1", "luci -c 4", "luci -c 16")
EVERY = (*LUCI, "curl", "wget", "aria2c -x1", "aria2c -x1 --checksum", *ARIA2C, "hf download", "pooch")
OVER_LINES = (LINE_ALONE, *LUCI, "curl", "aria2c -x16 -k1M")


def over(name: str, title: str, line: Line, size: int = 300 * MIB) -> Scenario:
    return Scenario(f"line-{name}", title, OVER_LINES, line=line, size=size)


LINES = (
    over("20ms", "20 ms, 500 Mbit/s, 300 MiB", Line(20, 500)),
    over("80ms", "80 ms, 300 Mbit/s, 300 MiB", Line(80, 300)),
    over("80ms-loss-0.01", "80 ms, 300 Mbit/s, 0.01 % lost, 300 MiB", Line(80, 300, loss=0.0001)),
    over("80ms-loss-0.5", "80 ms, 300 Mbit/s, 0.5 % lost, 300 MiB", Line(80, 300, loss=0.005)),
    over("200ms", "200 ms, 100 Mbit/s, 40 MiB", Line(200, 100), 40 * MIB),
    over("5ms", "5 ms, 1 Gbit/s, 1 GiB", Line(5, 1000), 1024 * MIB),
    Scenario(
        "line-60ms-shared",
        "60 ms, 20 Mbit/s a connection, 300 MiB",
        tuple(name for name in OVER_LINES if name not in ("curl", "luci -c 1")),
        limit_rate="2500000",
        line=Line(60, 1000),
        size=300 * MIB,
    ),
)
LARGE_BYTES = 4 << 30
LARGE = Scenario(
    "large",
    "Plain HTTP, 4 GiB",
    (FLOOR, DISK_ALONE, "luci", "luci -c 1", "curl", "aria2c -x16 --checksum"),
    size=LARGE_BYTES,
    sparse=True,
)
LOOPBACK = (
    Scenario("plain", "Plain HTTP", (FLOOR, DISK_ALONE, *EVERY)),
    Scenario("tls", "TLS 1.3", EVERY, tls=True),
    Scenario(
        "throttled",
        "20 MB/s per connection (with only one, every tool takes as long as curl)",
        ("luci", "luci -c 16", "curl", *ARIA2C),
        limit_rate="20m",
    ),
)
SCENARIOS = (*LOOPBACK, LARGE, *LINES)


def race(ground: Ground, scenario: Scenario, tools: Iterable[Tool], rounds: int) -> Runs:
    """The runs of those tools that take part in the scenario."""
    file = ground.file if scenario.size is None else ground.make_file(scenario.size, scenario.sparse)
    with ground.site(scenario.tls, scenario.limit_rate, scenario.line) as site:
        mine = [tool for tool in tools if tool.role in scenario.tools]
        racing = {tool.name: partial(fetch, ground, site, tool, file) for tool in mine if tool.name != LINE_ALONE}
        results = in_rounds(racing, rounds)
    if scenario.line:
        results[LINE_ALONE] = [Run(scenario.line.least_seconds(file.size), cpu=0, peak=0)] * rounds
    return results


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
        run = measure(tool.command(job), job.env, job.run / "log", site.ends.client.command)
        if not tool.is_floor:
            job.check()
    return run
