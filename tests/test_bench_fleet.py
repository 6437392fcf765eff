"""The bench of many machines computes, draws and reports rightly; tests/serve/test_fleet.py has the machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.procs import ROOT
from tests.tools import need

sys.path.append(str(ROOT / "scripts"))

from bench_lib.fleet import report
from bench_lib.fleet.bed import PROGRAMS, bed
from bench_lib.fleet.clients import READER
from bench_lib.fleet.engines import ALONE, SERVE
from bench_lib.fleet.goals import Measured, goals
from bench_lib.fleet.plot import draw
from bench_lib.fleet.race import Outcome
from bench_lib.fleet.scenarios import BY_ITSELF, COLD, FLIPPED, MANY, SCENARIOS, Case, cases
from bench_lib.measure import BenchError

SVG = "{http://www.w3.org/2000/svg}"
MIB = 1 << 20


def went_well(*seconds: float, copies: float = 1.0) -> Outcome:
    return Outcome(seconds, 0, (), copies, sent=1 << 30, cpu=0.2, peak=50 * MIB)


def of_luci(scenario: str, hosts: int, client: str = "luci") -> Case:
    return Case(scenario, hosts, SERVE.name, client)


NGINX = "nginx slices"
MEASURED = Measured(
    {
        Case(BY_ITSELF, 1, ALONE.name, "luci"): [went_well(5.0), went_well(6.0), went_well(9.0)],
        of_luci(COLD, 8): [went_well(*[6.0] * 7, 6.3), went_well(*[6.0] * 7, 6.4), went_well(*[6.0] * 7, 9.0)],
        of_luci(COLD, 8, "hf"): [went_well(*[9.0] * 8)],
        Case(COLD, 8, NGINX, "curl"): [went_well(*[9.0] * 8, copies=1.5)],
        of_luci(COLD, 24): [Outcome((7.0,) * 23, 0, ("alas",), 1.5)],
        of_luci(FLIPPED, 8, "curl"): [Outcome((), 0, ("no",) * 8, 2), Outcome((), 1, ("no",) * 7, 2)],
        of_luci(MANY, 100, READER): [went_well(*[60.0] * 100)],
    },
    size=64 * MIB,
    lan_mbit=1000,
    wan_mbit=100,
)


def verdicts() -> dict[str, tuple[str, str]]:
    rows = report.goals_table(MEASURED).splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {what: (measured, verdict) for what, measured, _, verdict in cells}


def test_a_goal_is_met_or_missed_or_not_measured() -> None:
    found = verdicts()
    assert found["cold, at once, 8 hosts: copies"] == ("1", "ok")
    assert found["cold, at once, 8 hosts: slowest"] == ("1.07 ×", "ok")  # 6.4 s, one host by itself 6
    assert found["one byte flipped: complete, curl"] == ("1", "MISSED")  # the worst round counts
    assert found["one byte flipped: complete, hf"] == ("not measured", "–")
    assert found["100 clients: the server's peak memory"] == ("50 MiB", "ok")
    assert found["100 clients: the server's processor, a GiB"] == ("200 ms", "ok")


def test_no_goal_of_speed_is_met_where_a_host_has_failed() -> None:
    assert verdicts()["cold, at once, 24 hosts: slowest"] == ("inf ×", "MISSED")


def test_many_hosts_cannot_be_faster_than_the_servers_line() -> None:
    assert MEASURED.floor(8) == 6.0
    assert MEASURED.floor(24) == 24 * 64 * MIB * 8 / 1e9


def test_a_goal_is_named_once() -> None:
    names = [goal.what for goal in goals(MEASURED)]
    assert len(names) == len({*names})


def test_a_table_shows_the_fastest_first_and_failures_without_seconds() -> None:
    text = report.tables(MEASURED)
    at_once = text.split("## Cold, 8 hosts at once")[1].split("##")[0].strip().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in at_once] == ["luci serve, luci", "luci serve, hf", f"{NGINX}, curl"]
    (failed,) = text.split("## Cold, 24 hosts at once")[1].split("##")[0].strip().splitlines()[2:]
    assert [cell.strip() for cell in failed.split("|")[2:7]] == ["–", "–", "1.50", "1", "0"]


def test_the_picture_has_a_bar_for_each_engine_that_served_all_and_for_the_lan() -> None:
    svg = ElementTree.fromstring(draw(MEASURED, "a & b"))
    bars = [bar.get("class") for bar in svg.iter(f"{SVG}rect")]
    assert bars == ["floor", "luci", "bar", "floor"]
    assert {"a & b", "luci serve", "6.4 s", "1.50", "8 hosts"} <= {text.text for text in svg.iter(f"{SVG}text")}


def test_the_json_has_every_outcome() -> None:
    facts = json.loads(report.as_json(MEASURED, {"size": 3}))
    assert facts["size"] == 3
    assert {(each["scenario"], each["hosts"]): len(each["outcomes"]) for each in facts["results"]}["cold", 24] == 1


def test_only_some_scenarios_are_run_with_every_number_of_hosts() -> None:
    wanted = cases(SCENARIOS, [SERVE], [8, 24])
    assert {case.hosts for case in wanted if case.scenario == COLD} == {8, 24}
    assert {case.hosts for case in wanted if case.scenario == FLIPPED} == {8}
    assert {case.hosts for case in wanted if case.scenario == MANY} == {100}
    assert not [case for case in wanted if case.scenario == BY_ITSELF]


def test_without_root_there_is_no_bed_and_the_bench_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BenchError, match="needs root"), bed(1, 100, 10):
        pytest.fail("there is a bed")


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_the_bench_measures_an_engine_and_leaves_only_what_it_serves(tmp_path: Path) -> None:
    for program in (*PROGRAMS, "nginx", "curl"):
        need(program)
    figures, folder = tmp_path / "figures.json", tmp_path / "bench"
    what = ["--size", "2M", "--hosts", "2", "--rounds", "1", "--only", COLD, "--engines", NGINX]
    where = ["--folder", str(folder), "--json", str(figures), "--svg", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"}
    command = [sys.executable, "-m", "bench_lib.fleet", *what, *where]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    assert f"| {NGINX}, curl |" in done.stdout
    (case,) = json.loads(figures.read_text())["results"]
    (outcome,) = case["outcomes"]
    assert (len(outcome["seconds"]), outcome["wrong"], outcome["failures"]) == (2, 0, [])
    assert 1 <= outcome["copies"] < 1.1
    ElementTree.parse(tmp_path / "fleet.svg")
    assert sorted(path.name for path in folder.rglob("*")) == ["ca.pem", "noise-2000000.gguf", "served"]
