"""The bench computes, draws and measures rightly; how fast anything is, is no matter here."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from tests.procs import ROOT
from tests.tools import need

sys.path.append(str(ROOT / "scripts"))

from bench_lib import goals, lines, report, traffic
from bench_lib.ground import File, Ground, Job
from bench_lib.hub import REPO, fake_hub
from bench_lib.measure import BenchError, Results, Run, measure, ratio
from bench_lib.peers import FLOOR, LINE_ALONE, Tool, all_tools
from bench_lib.picture import Picture, draw
from bench_lib.scenarios import LOOPBACK, Scenario, in_rounds, race

SVG = "{http://www.w3.org/2000/svg}"
TOOLS = {name: Tool(name, "", lambda _: [], digest=name != "curl") for name in ("luci", "curl", FLOOR)}


def runs(*seconds: float) -> list[Run]:
    return [Run(took, cpu=took, peak=10 << 20) for took in seconds]


PICTURE = Picture("{what}", "{cores} cores & more", LOOPBACK, ["luci", "curl", FLOOR])
RESULTS: Results = {"plain": {"luci": runs(1.0, 1.1, 3.0), "curl": runs(0.5, 1.1, 6.0), FLOOR: runs(0.8, 1.0, 2.4)}}


def test_a_ratio_pairs_the_runs_of_a_round() -> None:
    assert ratio(runs(1, 20, 3), runs(2, 20, 2)) == 1


def test_a_table_shows_the_fastest_first_and_what_its_time_includes() -> None:
    first, *others = report.scenario_table(RESULTS["plain"], TOOLS).splitlines()[2:]
    cells = [cell.strip() for cell in first.split("|")[1:-1]]
    assert cells == [FLOOR, "1.00", "0.80 – 2.40", "0.80", "1.00", "10", "✓", "–"]
    assert [row.split()[1] for row in others] == ["luci", "curl"]


def test_the_lines_of_a_table_are_of_one_length() -> None:
    lines = report.table(["", "a"], [["first", "1"], ["second one", "1234"]]).splitlines()
    assert len(set(map(len, lines))) == 1


def test_a_goal_is_met_or_missed_or_not_measured() -> None:
    rows = report.goals_table(RESULTS).splitlines()[2:]
    assert len(rows) == len(goals.GOALS)
    assert rows[0].split("|")[2:-1] == ["       1.25 × ", "  1.20 × ", " ✗ "]
    assert all("not measured" in row for row in rows[1:])


def test_a_resume_is_held_against_hashing_what_was_there_and_fetching_the_rest() -> None:
    results = {"plain": {"luci": runs(2), FLOOR: runs(1)}, "resume": {"luci": runs(1.1)}}
    assert goals.resume_ratio(results) == pytest.approx(1.0)


def test_the_peak_is_that_of_all_runs_of_luci_alone() -> None:
    memory = {"luci": [Run(1, 1, 50 << 20)], "luci -c 16": [Run(1, 1, 60 << 20)], "hf": [Run(1, 1, 90 << 20)]}
    assert goals.peak_mib({**RESULTS, "memory": memory}) == 60


def test_luci_is_held_against_the_best_of_its_peers_and_of_its_fixed_numbers() -> None:
    line = {LINE_ALONE: runs(1), "luci": runs(3), "curl": runs(4), "luci -c 4": runs(2), "luci@other": runs(1.5)}
    assert goals.against_best("line")({"line": line}) == 1.5
    with pytest.raises(LookupError):
        goals.against_best("line")({"line": {"luci": runs(3)}})


def test_requests_to_the_origin_count_beyond_one_for_each_address() -> None:
    seen = [Run(9, 0, 0, {"origin": origin, "expired": 2}) for origin in (3, 3, 5)]
    assert goals.requests_for_nothing({"requests": {"luci": seen}}) == 2


def test_what_was_counted_is_in_the_table() -> None:
    table = report.probes_table({"requests": {"luci": [Run(9, 0, 0, {"origin": 3, "store": 80})]}})
    assert "origin 3, store 80" in table.splitlines()[-1]


def test_another_checkout_runs_in_the_same_places_with_its_own_python(tmp_path: Path) -> None:
    tools = {tool.name: tool for tool in all_tools([tmp_path / "other"])}
    tool = tools["luci@other -c 4"]
    job = Job(tmp_path, "", tmp_path, File("name", 1, "0" * 64), "http://host/name")
    assert tool.role == "luci -c 4"
    python, *others = tool.command(job)
    assert (python, others) == (f"{tmp_path}/other/.venv/bin/python", tools["luci -c 4"].command(job)[1:])


def test_the_picture_is_well_formed_and_has_a_bar_for_each_tool() -> None:
    svg = ElementTree.fromstring(draw(PICTURE, RESULTS, TOOLS, {"what": "<title>", "cores": 2}))
    bars = {bar.get("class"): float(bar.get("width", "")) for bar in svg.iter(f"{SVG}rect")}
    assert bars["bar"] == bars["luci"] > bars["floor"] > 0
    assert {"<title>", "2 cores & more", "luci"} <= {text.text for text in svg.iter(f"{SVG}text")}


def test_rounds_are_shuffled_warmed_up_and_rid_of_what_fails() -> None:
    order: list[str] = []

    def take(name: str) -> Run:
        order.append(name)
        if name == "broken":
            raise BenchError("it is broken")
        return Run(len(order), 0, 0)

    names = ["a", "b", "c", "broken"]
    results = in_rounds({name: lambda name=name: take(name) for name in names}, rounds=5)  # type: ignore[misc]
    assert {name: len(runs) for name, runs in results.items()} == {"a": 5, "b": 5, "c": 5}
    assert order.count("broken") == 1
    assert len({tuple(order[start : start + 3]) for start in range(4, len(order), 3)}) > 1


def test_a_process_is_measured_without_the_memory_of_its_parent(tmp_path: Path) -> None:
    ballast = bytearray(b"x" * (100 << 20))
    run = measure(["true"], os.environ, tmp_path / "log")
    assert run.peak < len(ballast) / 2
    assert 0 < run.seconds < 10


def test_a_process_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="exit code 3: alas"):
        measure(["sh", "-c", "echo alas >&2; exit 3"], os.environ, tmp_path / "log")
    with pytest.raises(BenchError, match="does not start"):
        measure([str(tmp_path / "missing")], os.environ, tmp_path / "log")


def test_the_hub_redirects_as_the_real_one_does() -> None:
    with fake_hub(lambda: "http://elsewhere/file", "0" * 64, 12) as hub:
        connection = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc)
        connection.request("HEAD", f"/{REPO}/resolve/main/model.gguf")
        answer = connection.getresponse()
        connection.close()
    assert (answer.status, answer.headers["Location"]) == (302, "http://elsewhere/file")
    assert (answer.headers["X-Linked-Etag"], answer.headers["X-Linked-Size"]) == (f'"{"0" * 64}"', "12")


def test_what_a_killed_bench_left_goes_with_the_next(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    (tmp_path / f"run-{dead.pid}-left").mkdir()
    with Ground(tmp_path, 1 << 20).scratch("run") as mine:
        Ground(tmp_path, 1 << 20)
        assert list(tmp_path.glob("run-*")) == [mine]


def test_the_store_takes_a_signed_address_until_it_expires_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(tmp_path, 1 << 20)
    path = f"/{ground.file.name}"
    with ground.site(rules=traffic.SIGNED) as store:
        targets = [signed := traffic.signed(path), f"{signed}0", path]
        monkeypatch.setattr(traffic, "VALID_S", -2)
        assert [status(store.nginx.url(target)) for target in (*targets, traffic.signed(path))] == [200, 403, 403, 403]


def status(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("HEAD", url)
    with contextlib.closing(connection):
        return connection.getresponse().status


def test_without_root_there_are_no_lines_and_the_bench_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BenchError, match="lines need root"), lines.connected(lines.Line(1, 1), tmp_path):
        pytest.fail("there is a line")


@pytest.mark.skipif(lines.why_not() is not None, reason=lines.why_not() or "")
def test_no_tool_beats_the_line(tmp_path: Path) -> None:
    need("curl")
    scenario = Scenario("line", "", (LINE_ALONE, "curl"), line=lines.Line(rtt_ms=40, mbit=80), size=1 << 20)
    raced = race(Ground(tmp_path, 1 << 20), scenario, all_tools(), rounds=1)
    assert 0.144 < raced[LINE_ALONE][0].seconds < raced["curl"][0].seconds < 3


@pytest.mark.parametrize("script", ["bench", "bench fleet", "pictures"])
def test_the_scripts_can_be_started(script: str) -> None:
    """From a shell, with the set-up that they share."""
    ended = subprocess.run([*f"{ROOT}/scripts/{script}".split(), "--help"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"usage: scripts/{script} " in ended.stdout


def test_the_bench_measures_luci_and_curl_and_leaves_only_what_it_serves(tmp_path: Path) -> None:
    need("nginx")
    need("curl")
    figures, folder = tmp_path / "figures.json", tmp_path / "bench"
    what = ["--size", "4M", "--rounds", "1", "--only", "plain", "--tools", "luci,curl"]
    where = ["--folder", str(folder), "--json", str(figures), "--svg", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"}
    command = [sys.executable, "-m", "bench_lib", *what, *where]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    assert "| luci " in done.stdout
    measured = json.loads(figures.read_text())["results"]["plain"]
    assert {name: len(runs) for name, runs in measured.items()} == {"luci": 1, "curl": 1}
    ElementTree.parse(tmp_path / "bench.svg")
    assert not (tmp_path / "lines.svg").exists()
    assert sorted(path.name for path in folder.rglob("*")) == ["ca.pem", "noise-4000000.gguf", "served"]
