"""`luci demo` shows the main job, leaves nothing behind, and fails if a check fails."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from luci_dl.cli import demo
from luci_dl.cli.demo_server import DemoServer
from luci_dl.cli.demo_stage import Stage
from tests.procs import LUCI, Spawned, files_left, luci


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the demo creates its own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_the_demo_shows_every_step_and_leaves_nothing(temporary: Path, home: Path) -> None:
    """Proxies and settings of the user do not matter."""
    ended = luci("demo", env={"http_proxy": "http://127.0.0.1:1", "LUCI_MODELS_DIR": "/nowhere", "NO_PROXY": ""})
    assert ended.returncode == 0, ended.stderr
    assert "its SHA-256 is right" in ended.stdout
    assert "Download interrupted by user" in ended.stderr
    assert "Deleted partial download: demo-two.gguf" in ended.stderr
    assert "nothing is left of it. In the models folder: demo-one.gguf" in ended.stdout
    assert "Would remove" in ended.stdout
    assert ended.stdout.rstrip().endswith("luci install llama3.2")
    assert files_left(temporary) == []
    assert not home.exists()


def test_for_programs_each_step_is_one_finding(temporary: Path) -> None:
    """Nothing else is printed on stdout or stderr."""
    ended = luci("demo", "--json")
    findings = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [(each["event"], each["topic"], each["level"]) for each in findings] == [
        ("finding", topic, "ok") for topic in ("install", "interrupt", "crash", "clean")
    ]


def test_an_interrupted_demo_cleans_up_and_dies_of_the_signal(temporary: Path) -> None:
    """Ctrl+C in its terminal reaches the demo and the luci that it runs."""
    with Spawned("demo", terminal=True) as played:
        played.wait_for("Starting fresh")
        played.press("\x03")
        assert played.wait() == -signal.SIGINT
        assert "Deleted partial download: demo-one.gguf" in played.out
        assert "its folder is removed" in played.out
    assert files_left(temporary) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_demo_alone_ends_what_it_runs(signum: signal.Signals, temporary: Path) -> None:
    with Spawned("demo") as played:
        played.wait_for("Starting fresh")
        played.signal(signum)
        assert played.wait() == -signum
    assert files_left(temporary) == []


def test_where_ctrl_c_is_ignored_another_signal_is_shown(temporary: Path) -> None:
    """As in the background of a script."""
    with Spawned("demo", command=["sh", "-c", 'trap "" INT; exec "$@"', "sh", *LUCI]) as played:
        assert played.wait() == 0, played.err
        assert "(SIGTERM, like Ctrl+C)" in played.out


def test_a_failed_check_fails_the_demo(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, a message that says what failed, and nothing left."""
    monkeypatch.setattr(demo, "SIZE", 100_000)
    monkeypatch.setattr(Stage, "digest", lambda _stage, _name: "another")
    assert demo.command.main([], standalone_mode=False) == 1
    assert "the demo failed: the installed file has another SHA-256" in capfd.readouterr().err
    assert files_left(temporary) == []


def test_a_demo_without_room_says_so(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert demo.command.main([], standalone_mode=False) == 6
    assert files_left(temporary) == []


def test_the_server_of_the_demo_keeps_to_ranges() -> None:
    """The whole file, from an offset, between two offsets, and past the end."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    with DemoServer({"a": b"0123456789"}, 1e9) as server:
        asked = {None: b"0123456789", "bytes=4-": b"456789", "bytes=4-5": b"45"}
        for span, data in asked.items():
            request = Request(server.url("a"), headers={"Range": span} if span else {})
            with urlopen(request, timeout=10) as answer:
                assert answer.read() == data
        with pytest.raises(HTTPError, match="416") as refused:
            urlopen(Request(server.url("a"), headers={"Range": "bytes=10-"}), timeout=10)
        refused.value.close()
