"""`luci status`: what other terminals install, once or repeatedly."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.library.running import running
from tests.cli.shop import Shop
from tests.interrupting import DATA, HALF
from tests.procs import LUCI, Spawned, luci, wait_until
from tests.servers import FaultyServer, faults


@contextlib.contextmanager
def installing(server: FaultyServer, folder: Path, name: str) -> Iterator[Spawned]:
    """An install that has stopped half-way; its lock file says how far it is."""
    url = server.serve(f"/{name}.gguf", DATA, [faults.stall(HALF)])
    with Spawned("install", url, "--dir", folder) as run:
        wait_until(lambda: any(each.done == HALF for each in running([folder]) if each.pid == run.pid), 20)
        yield run


def status(*args: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(luci("status", "--json", *args).stdout)
    return found


def test_nothing_runs(home: Path) -> None:
    """Nothing on stdout, for pipes, and nothing is created on disk."""
    ended = luci("status")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "Nothing is being installed.\n")
    assert status() == []
    assert not home.exists()


def test_all_that_runs_is_shown(server: FaultyServer, home: Path, tmp_path: Path) -> None:
    """In the models folder and in one given by --dir: who, where, since when and how far."""
    other = tmp_path / "other"
    with installing(server, home / "models", "a") as one, installing(server, other, "b"):
        first, second = status()
        assert set(first) == {
            *("model", "command", "folder", "names", "done", "total", "percent", "rate", "seconds_left"),
            *("pid", "host", "user", "since"),
        }
        assert (first["pid"], first["host"], first["percent"]) == (one.pid, socket.gethostname(), 50)
        assert (first["names"], first["folder"]) == (["a.gguf"], str(home / "models"))
        assert (second["names"], second["folder"]) == (["b.gguf"], str(other))
        assert [each["names"] for each in status("--dir", str(other))] == [["b.gguf"]]
        title, *rows = luci("status").stdout.splitlines()
        assert title.split() == ["MODEL", "DONE", "SPEED", "LEFT", "PID", "USER", "HOST", "SINCE"]
        assert [row.split()[:2] for row in rows] == [["a.gguf", "50%"], ["b.gguf", "50%"]]
        assert rows[0][title.index("PID") :].startswith(str(one.pid))


def test_files_that_are_there_already_count(shop: Shop, home: Path) -> None:
    """Of a model of several files, one of which is fetched again."""
    shop.sell("set", DATA, files=["1.gguf", "2.gguf"])
    assert luci("install", "set").returncode == 0
    (home / "models" / "2.gguf").unlink()
    shop.sell("set", DATA, [faults.stall(HALF)], files=["1.gguf", "2.gguf"])
    with Spawned("install", "set", "--no-adopt"):
        wait_until(lambda: any(each.done == HALF + len(DATA) for each in running([home / "models"])), 20)
        (found,) = status()
        assert (found["model"], found["percent"], found["total"]) == ("set", 75, 2 * len(DATA))


def test_looking_does_not_disturb(server: FaultyServer, home: Path) -> None:
    """The install is not disturbed; after `kill -9` nothing runs."""
    with installing(server, home / "models", "a") as one, installing(server, home / "models", "b") as two:
        assert len(status()) == 2
        two.signal(signal.SIGKILL)
        two.wait()
        assert [each["names"] for each in status()] == [["a.gguf"]]
        server.release()
        assert one.wait() == 0
    assert status() == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_watch_redraws_in_place_until_a_signal(server: FaultyServer, home: Path, signum: int) -> None:
    """It ends by the signal without a message; no frame erases the screen."""
    with Spawned("status", "--watch", terminal=True) as watch:
        watch.wait_for("Nothing is being installed.")
        with installing(server, home / "models", "a"):
            watch.wait_for("a.gguf")
            watch.signal(signum)
            assert watch.wait() == -signum
    assert "interrupted" not in watch.out
    assert "\x1b[2J" not in watch.out
    assert watch.out.endswith("\x1b[?25h")


def test_watch_without_a_terminal_prints_again_until_nobody_reads() -> None:
    """One table, or one line of JSON, each time; a reader that goes away is no error."""
    with Spawned("status", "--watch", "--json") as watch:
        wait_until(lambda: watch.out.startswith("[]\n[]\n"))
        watch.signal(signal.SIGTERM)
        assert watch.wait() == -signal.SIGTERM
    with Spawned("status", "--watch", command=["sh", "-c", '"$@" | head -1', "sh", *LUCI]) as piped:
        assert piped.wait() == 0
        assert (piped.out, piped.err) == ("Nothing is being installed.\n", "")
