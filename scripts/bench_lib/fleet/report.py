"""The figures as tables, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median

from bench_lib.fleet.engines import ENGINES
from bench_lib.fleet.goals import Goal, Measured, goals, ms_a_gib
from bench_lib.fleet.race import Outcome
from bench_lib.fleet.scenarios import BY_NAME, SCENARIOS, Case
from bench_lib.report import NO, table

NOTES = """\
Copies: what came over the uplink, in sizes of the file. Floor: what one host takes by itself, or what the LAN's
line takes for all, whichever is longer. Wrong: hosts that ended well, with a file that is not right.
A kill costs what came in the last second: more than 5 % of a file that takes less than 20 s. The server's processor:
it carries the packets of the network that is made here, too, up to the receiver's socket."""


def tables(measured: Measured) -> str:
    """A table for each scenario and number of hosts, and one of the goals."""
    parts = []
    for scenario in SCENARIOS:
        for hosts in measured.numbers(scenario.name):
            mine = [case for case in measured.results if (case.scenario, case.hosts) == (scenario.name, hosts)]
            parts += [f"## {title(mine[0])}", _scenario_table(measured, mine)]
    lacks = [[engine.name, engine.lacks] for engine in ENGINES if engine.lacks]
    parts += [NOTES, table(["", "what it lacks"], lacks), "## Goals of luci serve", goals_table(measured)]
    return "\n\n".join(parts)


def title(case: Case) -> str:
    return BY_NAME[case.scenario].title.format(hosts=case.hosts).capitalize()


def _scenario_table(measured: Measured, cases: Sequence[Case]) -> str:
    header = ["", "slowest s", "× floor", "copies", "failed", "wrong", "server ms/GiB", "peak MiB"]
    wanted = sorted((case for case in cases if measured.results[case]), key=lambda case: measured.slowest_of(case))
    return table(header, [_row(measured, case) for case in wanted])


def _row(measured: Measured, case: Case) -> list[str]:
    outcomes, slowest = measured.results[case], measured.slowest_of(case)
    try:
        ratio = f"{slowest / measured.floor(case.hosts):.2f}"
    except LookupError:
        ratio = NO
    well = slowest != float("inf")
    return [
        f"{case.engine}, {case.client}",
        f"{slowest:.2f}" if well else NO,
        ratio if well else NO,
        f"{median(outcome.copies for outcome in outcomes):.2f}",
        str(max(len(outcome.failures) for outcome in outcomes)),
        str(max(outcome.wrong for outcome in outcomes)),
        *_of_server(outcomes),
    ]


def _of_server(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    peak = max(outcome.peak for outcome in outcomes)
    cpu = f"{median(ms_a_gib(outcome) for outcome in outcomes):.0f}" if any(o.seconds for o in outcomes) else NO
    return (cpu, f"{peak / 2**20:.0f}") if peak else (NO, NO)


def goals_table(measured: Measured) -> str:
    return table(["goal", "measured", "at most", ""], [_goal(goal) for goal in goals(measured)])


def _goal(goal: Goal) -> list[str]:
    found = goal.measured()
    if found is None:
        return [goal.what, "not measured", _figure(goal.limit, goal.unit), NO]
    verdict = "ok" if found <= goal.limit else "MISSED"
    return [goal.what, _figure(found, goal.unit), _figure(goal.limit, goal.unit), verdict]


def _figure(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".strip()


def as_json(measured: Measured, facts: Mapping[str, object]) -> str:
    """Every outcome of every case."""
    results = [
        asdict(case) | {"outcomes": [asdict(outcome) for outcome in outcomes]}
        for case, outcomes in measured.results.items()
    ]
    return json.dumps({**facts, "results": results}, indent=1) + "\n"
