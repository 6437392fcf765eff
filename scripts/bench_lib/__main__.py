"""scripts/bench: set up, measure, tell."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path

from bench_lib import probes, programs, start, traffic
from bench_lib.ground import Ground
from bench_lib.measure import BenchError, Results, Runs
from bench_lib.peers import LINE_ALONE, Tool, all_tools
from bench_lib.picture import PICTURES, draw
from bench_lib.report import goals_table, probes_table, scenario_table
from bench_lib.scenarios import LINES, SCENARIOS, race
from luci_dl.config.kinds import parse_size
from luci_dl.errors import LuciError
from tests.procs import ROOT

PROBES: Mapping[str, Callable[[Ground, int], Runs]] = {
    "memory": probes.memory,
    "resume": probes.resume,
    "interrupt": probes.interrupt,
    "repair": probes.repair,
    "requests": traffic.requests,
    "small files": traffic.small_files,
    "installed": start.installed,
    "help": start.help_texts,
    "first request": start.first_request,
}
NOTES = """\
Each run is a whole process on an empty folder; its file was checked afterwards, outside of the time.
Digest and sync: whether the time includes the check of the SHA-256 and the sync to disk.
× luci: how many times as long as luci, the median of the rounds' ratios."""


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it ignored, and luci from us
    tools = install(all_tools(options.luci), options)
    results = measure_all(Ground(options.folder, options.size), options, tools)
    tell(results, tools)
    if options.json:
        options.json.write_text(as_json(results, options))
    if options.svg:
        draw_all(results, tools, options)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    kinds = [*(scenario.name for scenario in SCENARIOS), *PROBES]
    groups = {"lines": [line.name for line in LINES], "probes": [*PROBES]}
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure luci against its peers and its goals.")
    parser.add_argument("--size", type=parse_size, default=1 << 30, help="of the file, as 64M or 1GiB (default: 1GiB)")
    parser.add_argument("--rounds", type=int, default=3, help="that count; one more comes before them (default: 3)")
    parser.add_argument("--only", action="append", choices=[*kinds, *groups], help="measure only that; may be repeated")
    parser.add_argument("--tools", metavar="NAME,...", help="only these tools, as the tables call them")
    parser.add_argument("--luci", action="append", type=Path, default=[], help="another checkout to measure, too")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="on the disk to measure")
    parser.add_argument("--svg", type=Path, metavar="FOLDER", help="draw the pictures there")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    options = parser.parse_args(arguments)
    options.only = [name for kind in options.only or kinds for name in groups.get(kind, [kind])]
    options.tools = options.tools and options.tools.split(",")
    return options


def install(tools: Sequence[Tool], options: argparse.Namespace) -> dict[str, Tool]:
    """Those asked for that are there, after an attempt to install what is missing."""
    roles = {role for scenario in SCENARIOS if scenario.name in options.only for role in scenario.tools}
    named = options.tools and {LINE_ALONE, *options.tools}
    wanted = [tool for tool in tools if tool.role in roles and (not named or tool.name in named)]
    needed = {tool.program for tool in wanted} - {"luci"} | {"nginx"}
    programs.install(needed | {"hf"} if {"help", "small files"} & {*options.only} else needed)
    missing = {program for program in needed if not programs.is_there(program)}
    if "nginx" in missing:
        sys.exit("nginx is not installed: there is nothing to fetch from.")
    if missing:
        print("Not installed, so left out:", *sorted(missing), file=sys.stderr)
    return {tool.name: tool for tool in wanted if tool.program not in missing}


def measure_all(ground: Ground, options: argparse.Namespace, tools: Mapping[str, Tool]) -> Results:
    races = {scenario.name: partial(race, ground, scenario, tools.values(), options.rounds) for scenario in SCENARIOS}
    alone = {name: partial(probe, ground, options.rounds) for name, probe in PROBES.items()}
    results: Results = {}
    for name, measured in (races | alone).items():
        if name in options.only:
            print(f"--- {name}", file=sys.stderr)
            try:
                results[name] = measured()
            except BenchError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
    return results


def tell(results: Results, tools: Mapping[str, Tool]) -> None:
    races = {scenario.name: scenario.title for scenario in SCENARIOS}
    for name, runs in results.items():
        if name in races:
            print(f"## {races[name]}", scenario_table(runs, tools), sep="\n\n", end="\n\n")
    print(NOTES, end="\n\n")
    if alone := {name: runs for name, runs in results.items() if name not in races}:
        print("## luci alone", probes_table(alone), sep="\n\n", end="\n\n")
    print("## Goals", goals_table(results), sep="\n\n")


def draw_all(results: Results, tools: Mapping[str, Tool], options: argparse.Namespace) -> None:
    """Draw those pictures that show something that was measured."""
    facts = {"size": f"{options.size / 2**30:.3g} GiB", "cores": os.cpu_count(), "rounds": options.rounds}
    options.svg.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        if any(scenario.name in results for scenario in picture.scenarios):
            (options.svg / f"{name}.svg").write_text(draw(picture, results, tools, facts))


def as_json(results: Results, options: argparse.Namespace) -> str:
    """Every run as [seconds, CPU seconds, peak bytes, counts]."""
    runs = {
        name: {tool: [astuple(run) for run in runs] for tool, runs in by_tool.items()}
        for name, by_tool in results.items()
    }
    return json.dumps({"size": options.size, "cores": os.cpu_count(), "results": runs}, indent=1) + "\n"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LuciError as error:
        sys.exit(error.message)
