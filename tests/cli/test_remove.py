"""`luci remove`: it asks first, refuses models in use, and checks all names before it removes the first file."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from luci_dl.library.running import running
from tests.cli.shop import Shop, assert_refused
from tests.interrupting import DATA, HALF
from tests.procs import Spawned, files_left, luci, wait_until
from tests.servers import FaultyServer, faults


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """A model of one file with two names, and one of two files, all installed."""
    shop.sell("one", aliases=["uno"])
    shop.sell("set", files=["set-1.gguf", "set-proj.gguf"])
    assert luci("install", "one", "set").returncode == 0
    return shop


def there(models: Path) -> list[str]:
    return [name for name in files_left(models) if not name.startswith(".luci/")]


def test_the_named_models_are_removed(stocked: Shop, models: Path) -> None:
    """By each of its names; the other models stay."""
    ended = luci("remove", "UNO", "set-proj.gguf", "one", "--yes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split(" (")[0] for line in ended.stdout.splitlines()] == [
        "Removed one", f"   {models / 'one.gguf'}",
        "Removed set", f"   {models / 'set-1.gguf'}", f"   {models / 'set-proj.gguf'}",
    ]  # fmt: skip
    assert there(models) == []
    assert luci("list", "--json").stdout == "[]\n"
    assert_refused(luci("remove", "one", "--yes"), 3, "one is not installed")


def test_programs_get_events(stocked: Shop, models: Path) -> None:
    (event,) = map(json.loads, luci("remove", "one", "--yes", "--json").stdout.splitlines())
    assert event["freed"] > 0
    assert event == {
        "event": "removed", "reference": "one", "paths": [str(models / "one.gguf")], "freed": event["freed"],
        "dry_run": False,
    }  # fmt: skip


def test_a_dry_run_says_the_same_and_changes_nothing(stocked: Shop, models: Path) -> None:
    """It asks nothing, either."""
    before = files_left(models)
    dry = luci("remove", "one", "set", "--dry-run")
    assert (dry.returncode, files_left(models)) == (0, before)
    real = luci("remove", "one", "set", "--yes")
    assert real.stdout == dry.stdout.replace("Would remove", "Removed")


def test_without_a_terminal_yes_must_be_given(stocked: Shop, models: Path) -> None:
    """Exit code 2, as for `install all`."""
    before = files_left(models)
    assert_refused(luci("remove", "one", "set"), 2, "2 models", "--yes")
    assert_refused(luci("remove"), 2, "no model given")
    assert files_left(models) == before


@pytest.mark.parametrize(("answer", "code"), [("y\r", 0), ("n\r", 2), ("\r", 2)])
def test_a_terminal_is_asked(stocked: Shop, models: Path, answer: str, code: int) -> None:
    """It shows what would be removed; everything but yes means no."""
    with Spawned("remove", "one", terminal=True) as asking:
        asking.wait_for("Remove one, ")
        assert str(models / "one.gguf") in asking.out
        asking.press(answer)
        assert asking.wait() == code
    assert (models / "one.gguf").exists() == bool(code)


def test_ctrl_c_is_not_a_yes(stocked: Shop, models: Path) -> None:
    """It ends by the signal."""
    with Spawned("remove", "one", terminal=True) as asking:
        asking.wait_for("[y/N]")
        asking.press("\x03")
        assert asking.wait() == -signal.SIGINT
    assert (models / "one.gguf").exists()


def test_a_misspelt_name_removes_nothing(stocked: Shop, models: Path) -> None:
    """Suggestions as everywhere."""
    assert_refused(luci("remove", "set", "onne", "--yes"), 3, "did you mean one")
    assert_refused(luci("remove", "set", "mistral", "--yes"), 3, "mistral is not installed")
    assert there(models) == ["one.gguf", "set-1.gguf", "set-proj.gguf"]


def test_a_model_in_two_folders_is_ambiguous(stocked: Shop, models: Path, tmp_path: Path) -> None:
    """The user has to say which one."""
    other = tmp_path / "other"
    assert luci("install", "one", "--dir", other).returncode == 0
    assert_refused(luci("remove", "one", "--yes"), 3, str(models), str(other), "--dir")
    assert luci("remove", "one", "--yes", "--dir", other).returncode == 0
    assert (there(models), there(other)) == (["one.gguf", "set-1.gguf", "set-proj.gguf"], [])


def test_a_changed_file_is_reported(stocked: Shop, models: Path) -> None:
    """Before the question, and in a dry run."""
    (models / "one.gguf").write_text("mine")
    assert "one.gguf has changed since luci installed it" in luci("remove", "one", "--dry-run").stderr
    with Spawned("remove", "one", terminal=True) as asking:
        asking.wait_for("[y/N]")
        assert "has changed since" in asking.out
        asking.press("n\r")
        assert asking.wait() == 2


def test_what_is_downloaded_now_is_not_removed(server: FaultyServer, models: Path) -> None:
    """Neither a new version nor the first one; the message names the process, which continues undisturbed."""
    old = server.serve("/m.gguf", DATA)
    assert luci("install", old).returncode == 0
    server.serve("/m.gguf", DATA[:-1] + b"!", [faults.stall(HALF), faults.ok()])
    new = server.serve("/new.gguf", DATA, [faults.stall(HALF), faults.ok()])
    with Spawned("install", old, "--force") as again, Spawned("install", new) as first:
        wait_until(lambda: len(running([models])) == 2, 20)
        wait_until(lambda: server.sent("/m.gguf") > len(DATA) and server.sent("/new.gguf"), 20)
        for options in (["--yes"], ["--dry-run"]):
            assert_refused(luci("remove", old, *options), 7, f"in use by pid {again.pid}", "luci install m.gguf")
        assert_refused(luci("remove", "new.gguf", "--yes"), 7, f"downloaded by pid {first.pid}")
        server.release()
        assert [again.wait(), first.wait()] == [0, 0]
    assert there(models) == ["m.gguf", "new.gguf"]
