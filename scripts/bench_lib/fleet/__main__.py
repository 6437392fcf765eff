"""scripts/bench fleet: set up, measure, tell."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_lib import programs
from bench_lib.fleet.bed import bed
from bench_lib.fleet.clients import CLIENTS
from bench_lib.fleet.engines import ENGINES, Engine
from bench_lib.fleet.goals import Measured
from bench_lib.fleet.plot import draw
from bench_lib.fleet.report import as_json, tables
from bench_lib.fleet.scenarios import SCENARIOS, cases, in_rounds
from bench_lib.fleet.upstream import upstream
from bench_lib.ground import Ground
from bench_lib.measure import BenchError
from luci_dl.config.kinds import parse_size
from luci_dl.errors import LuciError
from tests.procs import ROOT

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    for signum in ENDINGS:
        signal.signal(signum, signal.default_int_handler)
    engines = install(options.engines)
    measured = measure(options, engines)
    print(tables(measured))
    if options.json:
        options.json.write_text(as_json(measured, _facts(options)))
    if options.svg:
        options.svg.mkdir(parents=True, exist_ok=True)
        (options.svg / "fleet.svg").write_text(draw(measured, _subtitle(options)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench fleet", description="Measure how a file comes to many machines: as root, on Linux."
    )
    parser.add_argument("--size", type=parse_size, default=64 << 20, help="of the file (default: 64MiB)")
    parser.add_argument("--hosts", type=_numbers, default=[8, 24], metavar="N,...", help="how many (default: 8,24)")
    parser.add_argument("--lan", type=float, default=1000, metavar="MBIT", help="each host's line (default: 1000)")
    parser.add_argument("--wan", type=float, default=100, metavar="MBIT", help="the uplink (default: 100)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, help="measure only that; may be repeated")
    parser.add_argument("--engines", metavar="NAME,...", type=_words, help="only these, as the tables call them")
    parser.add_argument("--clients", metavar="NAME,...", type=_words, default=[*CLIENTS], help="only these")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="where files go")
    parser.add_argument("--svg", type=Path, metavar="FOLDER", help="draw fleet.svg there")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    return parser.parse_args(arguments)


def install(names: Sequence[str] | None) -> list[Engine]:
    """Those engines asked for that are there, after an attempt to install what is missing."""
    wanted = [engine for engine in ENGINES if names is None or engine.name in names]
    needed = {engine.program for engine in wanted} - {"luci"}
    programs.install(needed | {"nginx", "curl", "ip", "tc"})
    missing = {program for program in needed if not programs.is_there(program)}
    if missing:
        print("Not installed, so left out:", *sorted(missing), file=sys.stderr)
    return [engine for engine in wanted if engine.program not in missing]


def measure(options: argparse.Namespace, engines: Sequence[Engine]) -> Measured:
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in (options.only or scenario.name)]
    wanted = [case for case in cases(scenarios, engines, options.hosts) if case.client in options.clients]
    ground = Ground(options.folder, options.size)
    file = options.folder.absolute() / "served" / ground.file.name
    with (
        ground.scratch("fleet") as folder,
        bed(max(options.hosts), options.lan, options.wan) as made,
        upstream(made, folder / "hub", file) as hub,
    ):
        results = in_rounds(made, hub, folder, wanted, options.rounds)
    return Measured(results, options.size, options.lan, options.wan)


def _facts(options: argparse.Namespace) -> dict[str, object]:
    lines = {"lan_mbit": options.lan, "wan_mbit": options.wan}
    return {"size": options.size, "cores": os.cpu_count(), "rounds": options.rounds, **lines}


def _subtitle(options: argparse.Namespace) -> str:
    lines = f"uplink {options.wan:g} Mbit/s, LAN {options.lan:g} Mbit/s"
    return f"{options.size / 2**20:.3g} MiB, {lines}, {os.cpu_count()} cores for all, medians of {options.rounds}"


def _numbers(words: str) -> list[int]:
    return [int(word) for word in words.split(",")]


def _words(words: str) -> list[str]:
    return words.split(",")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BenchError, LuciError) as error:
        sys.exit(str(error))
