"""luci inside another program: its bar, its Ctrl+C, its mistakes."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

import luci_dl
from luci_dl.events import Event
from tests.cli.shop import DATA, assert_nothing_left, sha256
from tests.disk.hands import install
from tests.interrupting import SOON_S
from tests.procs import ROOT, Spawned, files_left, wait_until
from tests.servers import FaultyServer, faults

EXAMPLE = [sys.executable, str(ROOT / "tests" / "embedding.py")]
HALF = len(DATA) // 2
PROGRAM = """
import os, sys, time
import luci_dl
from luci_dl.disk import fs
from luci_dl.library import verify

def slow(*_args, **_more):
    os.write(1, b"reading ")
    time.sleep(600)

jobs, work, *words = sys.argv[1:]
verify._cores = lambda: int(jobs)
if work == "verify":
    fs.read_at = slow
try:
    options = {} if work == "verify" else {"options": luci_dl.Options(jobs=int(jobs))}
    getattr(luci_dl, work)(*words, **options)
except KeyboardInterrupt:
    print("stopped")
"""
MANY = ["1.gguf", "2.gguf", "3.gguf", "4.gguf", "5.gguf"]


def assert_stops_soon(program: Spawned) -> None:
    """SIGINT raises KeyboardInterrupt in it, which it catches."""
    began = time.monotonic()
    program.signal(signal.SIGINT)
    assert program.wait() == 0, program.err
    assert time.monotonic() - began < SOON_S
    assert program.out.endswith("stopped\n")
    assert program.err == ""


def test_the_example_shows_its_own_bar(server: FaultyServer, home: Path) -> None:
    """And nothing of luci's."""
    url = server.serve("/a.gguf", DATA)
    with Spawned(f"{url}#sha256={sha256(DATA)}", command=EXAMPLE) as program:
        assert program.wait() == 0
        assert program.out == f"{home / 'models' / 'a.gguf'}\n"
        assert {line.rpartition(":")[0] for line in program.err.split("\r")[1:]} == {"a.gguf"}
        assert program.err.endswith(" 100 %")


def test_the_example_tells_errors(home: Path) -> None:
    with Spawned("nosuchmodel", command=EXAMPLE) as program:
        assert program.wait() == 3
        assert program.err.startswith('there is no model "nosuchmodel"')


def test_ctrl_c_in_the_program_leaves_nothing(server: FaultyServer, home: Path) -> None:
    """Python's own KeyboardInterrupt comes through once all is cleaned up."""
    url = server.serve("/a.gguf", DATA, [faults.stall(HALF)])
    with Spawned(url, command=EXAMPLE) as program:
        program.wait_for("a.gguf: ")
        program.signal(signal.SIGINT)
        assert program.wait() == 130
        assert "Traceback" not in program.err
    assert_nothing_left(home / "models")


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_ctrl_c_stops_every_install_that_runs(server: FaultyServer, home: Path, jobs: int) -> None:
    """Also those side by side, and those that have not begun."""
    urls = [server.serve(f"/{name}", DATA, [faults.stall(HALF)]) for name in MANY]
    with Spawned(str(jobs), "install", *urls, command=[sys.executable, "-c", PROGRAM]) as program:
        wait_until(lambda: len(server.exchanges()) == jobs)
        assert_stops_soon(program)
    assert_nothing_left(home / "models")
    assert len(server.exchanges()) == jobs


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_ctrl_c_stops_a_verification(home: Path, jobs: int) -> None:
    """Though the disk hangs in every read."""
    install(home / "models", *((DATA, name) for name in MANY))
    before = files_left(home / "models")
    with Spawned(str(jobs), "verify", command=[sys.executable, "-c", PROGRAM]) as program:
        wait_until(lambda: program.out.count("reading") == jobs)
        assert_stops_soon(program)
    assert files_left(home / "models") == before
    assert_nothing_left(home / "models", *MANY)


@pytest.mark.parametrize("kind", ["Planned", "Started", "Progress"])
def test_what_the_callback_raises_comes_out(server: FaultyServer, home: Path, kind: str) -> None:
    """Once, after all is rolled back; the callback is not called again."""
    told: list[str] = []

    def emit(event: Event) -> None:
        told.append(type(event).__name__)
        if told[-1] == kind:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        luci_dl.install(server.serve("/a.gguf", DATA), sha256=sha256(DATA), emit=emit)
    assert told[-1] == kind
    assert_nothing_left(home / "models")


def test_what_the_callback_raises_after_the_commit_changes_nothing(server: FaultyServer, home: Path) -> None:
    """The model is installed; the program learns of its own mistake all the same."""

    def emit(event: Event) -> None:
        if type(event).__name__ == "Installed":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        luci_dl.install(server.serve("/a.gguf", DATA), sha256=sha256(DATA), emit=emit)
    assert_nothing_left(home / "models", "a.gguf")
