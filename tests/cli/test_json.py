"""`--json` of every command: the keys and types that programs rely on, also where something fails."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from luci_dl.cli.main import COMMANDS
from luci_dl.cli.main import luci as luci_group
from luci_dl.events import event_types
from luci_dl.library.running import running
from tests.cli import shapes
from tests.cli.shapes import events_misfits, misfits
from tests.cli.shop import OTHER, Shop
from tests.disk.hands import kill_after, sync_every
from tests.formats.files import REAL, model
from tests.procs import Spawned, luci, wait_until
from tests.servers import faults
from tests.servers.hub import Hub

FOR_PEOPLE = {"help", "completion", "shell"}
"""Commands whose output is for people and for shells."""


def lines(*args: str | Path, code: int = 0) -> list[Any]:
    """The lines that `luci ARGS... --json` prints, after it ended with that exit code."""
    ended = luci(*args, "--json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert ended.stdout.isascii()
    return [json.loads(line) for line in ended.stdout.splitlines()]


def answer(*args: str | Path, code: int = 0) -> Any:
    """The one line that it prints."""
    (line,) = lines(*args, code=code)
    return line


def kinds(*args: str | Path, code: int = 0) -> list[str]:
    """The names of the events that it prints, each of its shape."""
    printed = lines(*args, code=code)
    assert not events_misfits(printed)
    return [line["event"] for line in printed]


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """Two installed models, one of them with a header; and one without size and digest."""
    shop.sell("one", REAL, aliases=["uno"], groups=["numbers"], tier=3, license="mit")
    shop.sell("set", files=["set-1.gguf", "set-2.gguf"])
    assert luci("install", "one", "set").returncode == 0
    shop.sell("bare", digest=False)
    return shop


def test_every_command_for_programs_has_it() -> None:
    """Also the commands of a group."""
    for name in COMMANDS:
        command = luci_group.get_command(click.Context(luci_group), name)
        below = command.commands.values() if isinstance(command, click.Group) else [command]
        for each in filter(None, below):
            options = {text for param in each.params for text in param.opts}
            assert ("--json" in options) is (name not in FOR_PEOPLE), each.name


def test_the_shapes_are_those_of_the_events() -> None:
    """Each kind of event has one, with every field."""
    fields = {kind.event_name(): {field.name for field in dataclasses.fields(kind)} for kind in event_types()}
    assert fields == {kind: set(shape) for kind, shape in shapes.EVENTS.items()}


def test_lists_of_models(stocked: Shop) -> None:
    """One array."""
    assert not misfits(answer("list"), [shapes.INSTALLED])
    assert len(answer("list")) == 2
    assert not misfits(answer("list", "--available"), [shapes.OFFERED])
    assert not misfits(answer("search", "one"), [shapes.OFFERED])
    assert not misfits(answer("catalog", "list"), [shapes.OFFERED])
    assert len(answer("catalog", "list")) == 3


def test_times_are_iso_8601_in_utc(stocked: Shop) -> None:
    (file,) = answer("path", "one")["files"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", file["installed_at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", file["verified_at"])


def test_info_of_one_model(stocked: Shop, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog entry only, installed files with and without header, a partial file."""
    data = model() + bytes(300_000)
    stocked.sell("half", data)
    sync_every(monkeypatch, 1 << 16)
    kill_after(models, data, 200_000, "half.gguf")
    for name in ("one", "set", "bare", "half", "mistral"):
        assert not misfits(answer("info", name), shapes.INFO), name
    assert answer("info", "one")["gguf"][0]["header"]["tensor_types"] == {"F32": 1, "Q8_0": 1, "Q4_K": 1, "Q6_K": 1}
    assert len(answer("info", "half")["partial"]) == 1
    assert not misfits(answer("path", "one"), shapes.INSTALLED)
    assert answer("path", "one") == answer("list")[0]


def test_status(shop: Shop, models: Path) -> None:
    """With a known size or not; with --watch one array per line."""
    shop.sell("m", faults=[faults.stall(150_000)])
    assert answer("status") == []
    with Spawned("install", "m") as run, Spawned("status", "--watch", "--json") as watch:
        wait_until(lambda: any(each.done for each in running([models])), 20)
        assert not misfits(answer("status"), [shapes.RUNNING])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", answer("status")[0]["since"])
        wait_until(lambda: f'"pid": {run.pid}' in watch.out and watch.out.endswith("\n"), 20)
        for line in watch.out.splitlines():
            assert not misfits(json.loads(line), [shapes.RUNNING])


def test_settings(home: Path) -> None:
    """Also invalid and unknown ones."""
    home.mkdir()
    (home / "config.json").write_text('{"retries": 3, "mine": [1]}')
    assert not misfits(answer("config", "list"), [shapes.SETTING])
    assert {one["name"]: one["value"] for one in answer("config", "list")}["mine"] == [1]
    for words in (["get", "retries"], ["set", "min_free", "5G"], ["unset", "min_free"]):
        assert not misfits(answer("config", *words), shapes.SETTING), words
    assert answer("config", "unset", "mine") is None
    (home / "config.json").write_text('{"retries": "many"}')
    assert not misfits(answer("config", "list", code=2), [shapes.SETTING])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("O/R", {"one.gguf": REAL})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def test_the_users_own_catalog(hub: Hub, tmp_path: Path) -> None:
    """Checked, added to, compared with the Hub; with a problem and without."""
    sent = tmp_path / "sent.toml"
    entry = '[[model]]\nname = "{0}"\n[[model.file]]\nfilename = "{0}.gguf"\nurl = "{1}/{0}.gguf"\n'
    assert not misfits(answer("catalog", "check"), shapes.CATALOG_CHECK)
    sent.write_text(entry.format("one", "https://huggingface.co/O/R/resolve/main") + entry.format("phi-3", "https://h"))
    assert not misfits(answer("catalog", "check", sent), shapes.CATALOG_CHECK)
    assert answer("catalog", "check", sent)["overrides"]
    assert not misfits(answer("catalog", "add", sent), shapes.CATALOG_ADD)
    updated = answer("catalog", "update")
    assert not misfits(updated, shapes.CATALOG_UPDATE)
    assert updated["changes"]
    del hub.repos["O/R"]
    failed = answer("catalog", "update", code=3)
    assert not misfits(failed, shapes.CATALOG_UPDATE)
    assert failed["problems"]
    sent.write_text("[[model]]")
    assert answer("catalog", "check", sent, code=2)["problems"]


def test_versions() -> None:
    printed = answer("version")
    assert {"luci", "Python", "OpenSSL", "urllib3", "filelock", "system"} <= printed.keys()
    assert all(isinstance(version, str) for version in printed.values())


def test_doctor_prints_findings(hub: Hub) -> None:
    assert set(kinds("doctor", "--offline")) == {"finding"}


def test_installing(shop: Shop, home: Path) -> None:
    """A dry run, an install, and the summary of several."""
    shop.sell("one")
    shop.sell("wrong", OTHER, [faults.login_page()])
    assert kinds("install", "one", "--dry-run") == ["would_install", "disk_space"]
    printed = kinds("install", "one")
    assert (printed[0], printed[1], printed[-1]) == ("planned", "started", "installed")
    printed = kinds("install", "one", "wrong", code=5)
    assert (printed[-2], printed[-1]) == ("failed", "summary")


def test_an_interrupt(shop: Shop, models: Path) -> None:
    """The signal and the deleted partial file are reported."""
    shop.sell("m", faults=[faults.stall(150_000)])
    with Spawned("install", "m", "--json") as run:
        wait_until(lambda: (models / ".luci/m.gguf.journal").exists())
        run.signal(signal.SIGTERM)
        assert run.wait() == -signal.SIGTERM
        printed = [json.loads(line) for line in run.out.splitlines()]
    assert not events_misfits(printed)
    assert [line["event"] for line in printed[-2:]] == ["stopped", "deleted"]


def test_maintenance(stocked: Shop, models: Path) -> None:
    """Verified, removed, cleaned; a file that luci did not install; the remains of a crash."""
    (models / "other.gguf").write_bytes(b"GGUF")
    (models / ".luci" / "lost.gguf.part").write_bytes(b"GGUF")
    printed = kinds("verify")
    assert printed[-1] == "verify_summary"
    assert printed.count("verified") == 4
    (models / "one.gguf").write_bytes(b"GGUF")
    assert kinds("verify", "one", code=5) == ["verified", "verify_summary", "failed"]
    assert kinds("remove", "set", "--dry-run") == kinds("remove", "set", "--yes") == ["removed"]
    printed = kinds("clean", "--dry-run")
    assert set(printed) == {"cleaned", "clean_summary"}
    assert kinds("clean") == printed


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("install nosuchmodel", 3),
        ("install nosuchmodel --dry-run", 3),
        ("install mistral -j 0", 2),
        ("clean nosuchmodel", 3),
        ("list --tier 99", 2),
        ("list extra", 2),
        ("search nosuchmodel", 3),
        ("info nosuchmodel", 3),
        ("path mistral", 3),
        ("path", 2),
        ("verify mistral", 3),
        ("remove mistral --yes", 3),
        ("remove", 2),
        ("status --bogus", 2),
        ("config get nonsense", 2),
        ("config set retries many", 2),
        ("config unset nonsense", 2),
        ("catalog add /nowhere", 2),
        ("catalog check /nowhere", 2),
        ("catalog update nosuchmodel", 3),
        ("catalog lst", 2),
        ("doctor --bogus", 2),
        ("version --bogus", 2),
        ("demo --bogus", 2),
        ("nosuchcommand", 2),
    ],
)
def test_a_failure_is_one_event(words: str, code: int) -> None:
    """With the exit code; stderr has the same for people."""
    failed = answer(*words.split(), code=code)
    assert not events_misfits([failed])
    assert (failed["event"], failed["exit_code"]) == ("failed", code)
    assert failed["message"]


def test_a_broken_config_is_one_event_with_every_command(home: Path) -> None:
    """For doctor it is a finding."""
    home.mkdir()
    (home / "config.json").write_text("{broken")
    commands = ("install x", "clean", "list", "search x", "info x", "path x", "verify", "remove x", "status")
    for words in (*commands, "config list", "config get retries", "catalog list", "catalog check", "catalog update"):
        failed = answer(*words.split(), code=2)
        assert (failed["event"], failed["exit_code"]) == ("failed", 2), words
        assert "config.json" in failed["message"]
    assert "config.json" in json.dumps(lines("doctor", "--offline", code=2))
