"""`luci help serve`: what it shows can be used as it is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click

from luci_dl.cli import topics
from luci_dl.cli.main import luci as luci_group
from luci_dl.cli.topics.serve import UNIT
from luci_dl.serve import answers, gate, pull, pulls, server
from tests.tools import need


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Without a word."""
    unit = tmp_path / "luci-serve.service"
    unit.write_text(UNIT.replace("/opt/luci/bin/luci", "/bin/true"))
    checked = subprocess.run([need("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_option_of_serve_that_it_names_exists() -> None:
    """Also in the unit and in the examples."""
    command = luci_group.get_command(click.Context(luci_group), "serve")
    assert command is not None
    options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    shown = "\n".join(topics.lines("serve")).replace("\\\n", " ")
    calls = re.findall(r"(?:luci|bin/luci) serve( --[^#\n]*)", shown)
    assert len(calls) >= 6
    assert {word for call in calls for word in call.split() if word.startswith("--")} <= options


def test_the_limits_are_those_of_the_code() -> None:
    """In words."""
    shown = " ".join(" ".join(topics.lines("serve")).split())
    for number, text in (
        (pull.HELD_BACK >> 10, "last 64 KiB"),
        (pulls.MAX_PULLS, "16 files are fetched at the same time"),
        (server.MAX_REQUESTS, "2000 at the same time"),
    ):
        assert (str(number) in text, text in shown) == (True, True), text
    assert (pulls.LINGER_S, gate.REMEMBER_S, answers.AWAY_S) == (60, 300, 60)


def test_the_times_are_those_of_the_formulas() -> None:
    """For 40 GB, an uplink of 1 Gbit/s and links of 10 Gbit/s."""
    copy, line = 40e9 / 1.25e9 / 60, 40e9 / 0.125e9 / 60

    def star(hosts: int) -> float:
        return max(line, hosts * copy)

    def tree(hosts: int, servers: int) -> float:
        return max(line, servers * copy, hosts / servers * copy)

    def swarm(mbit: float) -> float:
        return line + 4 * 40e9 / (mbit * 1e6 / 8) / 60 + 80 / 60

    shown = " ".join(" ".join(topics.lines("serve")).split())
    for text, minutes in (
        ("5 minutes by a star", star(10)),
        ("11 minutes by a star", star(20)),
        ("53 minutes by a star", star(100)),
        ("5 minutes by a tree of 10", tree(100, 10)),
        ("17 minutes by a tree of 32", tree(1000, 32)),
        ("28 minutes if l is 1 Gbit/s", swarm(1000)),
    ):
        assert text in shown
        assert round(minutes) == int(re.findall(r"(\d+) minutes", text)[0])
    assert "9 hours by a star" in shown
    assert round(star(1000) / 60) == 9
    assert "1 Gbit/s, 9 if it is 10" in shown
    assert round(swarm(10_000)) == 9
