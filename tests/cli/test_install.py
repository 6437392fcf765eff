"""`luci install` as scripts and people run it: several models, existing files, and what is printed where."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused
from tests.procs import Spawned, luci
from tests.servers import FaultyServer, faults


def test_results_go_to_stdout_and_words_to_stderr(shop: Shop, models: Path) -> None:
    """Each final path, one a line."""
    shop.sell("one")
    shop.sell("set", files=["set-1.gguf", "set-2.gguf", "set-proj.gguf"])
    ended = luci("install", "one", "set")
    paths = [str(models / name) for name in ("one.gguf", "set-1.gguf", "set-2.gguf", "set-proj.gguf")]
    assert (ended.returncode, ended.stdout.splitlines()) == (0, paths)
    assert "Installing 2 models, 1.2MB" in ended.stderr
    assert "Downloading one.gguf...  0% | Starting fresh" in ended.stderr
    assert "Summary:\n   Installed: one, set" in ended.stderr
    assert_nothing_left(models, "one.gguf", "set-1.gguf", "set-2.gguf", "set-proj.gguf")


def test_a_group_installs_side_by_side(shop: Shop, models: Path) -> None:
    """A name inside and outside of the group is installed once."""
    for name in ("one", "two", "three"):
        shop.sell(name, groups=["trio"])
    ended = luci("install", "trio", "models", "two", "-j", "2")
    assert ended.returncode == 0, ended.stderr
    assert len(shop.server.exchanges()) == 3
    assert_nothing_left(models, "one.gguf", "three.gguf", "two.gguf")


def test_a_rate_limit_of_this_hour_holds_over_all_connections(shop: Shop, models: Path) -> None:
    """It is so low that one connection is enough for it, however many are allowed."""
    shop.sell("one")
    began = time.monotonic()
    ended = luci("install", "one", "-c", "16", "--limit-rate", "00:00-24:00=400k,1")
    assert ended.returncode == 0, ended.stderr
    assert time.monotonic() - began > 0.9 * len(DATA) / 400_000
    assert len(shop.server.exchanges()) == 1
    assert_nothing_left(models, "one.gguf")


def test_after_a_failure_the_others_are_installed(shop: Shop, models: Path) -> None:
    """The first failure's code is the exit code, and the summary says what happened to each."""
    shop.sell("good")
    shop.sell("gone")
    shop.server.serve("/gone.gguf", OTHER)
    shop.sell("last")
    ended = luci("install", "good", "gone", "last")
    assert ended.returncode == 5
    assert "Installed: good, last" in ended.stderr
    assert "Failed: gone: the bytes of gone.gguf are wrong" in ended.stderr
    assert_nothing_left(models, "good.gguf", "last.gguf")


def test_json_is_one_event_a_line(shop: Shop, models: Path) -> None:
    """Also when it fails, with the message in words on stderr."""
    shop.sell("one")
    ended = luci("install", "one", "--json")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [event["event"] for event in events if event["event"] != "progress"] == ["planned", "started", "installed"]
    assert events[-1]["paths"] == [str(models / "one.gguf")]
    failed = luci("install", "none", "--json")
    assert failed.returncode == 3
    assert json.loads(failed.stdout)["exit_code"] == 3
    assert "there is no model" in failed.stderr


def test_quiet_prints_only_the_paths(shop: Shop, models: Path) -> None:
    shop.sell("one")
    for _ in range(2):
        ended = luci("install", "one", "--quiet")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{models / 'one.gguf'}\n", "")


def test_all_models_are_not_installed_without_confirmation(shop: Shop, models: Path) -> None:
    """Without a terminal and without --yes: exit 2, with the total."""
    ended = luci("install", "all", "models")
    assert_refused(ended, 2, "76 models, at least", "--yes")
    assert not models.exists()


def test_all_models_are_asked_about_in_a_terminal(shop: Shop, models: Path) -> None:
    """Enter means no."""
    with Spawned("install", "all", terminal=True) as asked:
        asked.wait_for("Install all: 76 models, at least")
        asked.press("\n")
        assert asked.wait() == 2
        assert "nothing was installed" in asked.out
    assert not models.exists()


def test_an_installed_model_is_reported_at_once(shop: Shop) -> None:
    """No byte is requested again."""
    shop.sell("one")
    luci("install", "one")
    ended = luci("install", "one")
    assert (ended.returncode, len(shop.server.exchanges())) == (0, 1)
    assert "one.gguf is already installed" in ended.stderr


@pytest.mark.parametrize("command", ["install", "path"])
def test_a_touched_file_is_hashed_and_its_receipt_refreshed(command: str, shop: Shop, models: Path) -> None:
    """Also if the program that used it has another name for it; nothing is said to be wrong meanwhile."""
    shop.sell("one")
    luci("install", "one")
    (models.parent / "blob").hardlink_to(models / "one.gguf")
    os.utime(models.parent / "blob", (1, 1))
    listed = luci("list")
    assert ("touched" in listed.stdout, listed.stderr) == (True, "")
    assert "only its time has changed" in luci("info", "one").stdout
    assert "may have changed" in luci("remove", "one", "--dry-run").stderr
    assert luci(command, "one").stdout == f"{models}/one.gguf\n"
    assert "touched" not in luci("list").stdout
    assert len(shop.server.exchanges()) == 1


@pytest.mark.parametrize("damaged", [DATA[:-1], DATA[:-1] + b"?", None])
def test_a_damaged_file_is_fetched_again(damaged: bytes | None, shop: Shop, models: Path) -> None:
    """Cut short, changed, or gone."""
    shop.sell("one")
    luci("install", "one")
    if damaged is None:
        (models / "one.gguf").unlink()
    else:
        (models / "one.gguf").write_bytes(damaged)
    assert luci("install", "one").returncode == 0
    assert (models / "one.gguf").read_bytes() == DATA
    assert_nothing_left(models, "one.gguf")


def test_a_newer_version_is_only_reported_without_force(shop: Shop, models: Path) -> None:
    """Exit code 0: the installed file is right."""
    shop.sell("one")
    luci("install", "one")
    shop.sell("one", OTHER)
    ended = luci("install", "one")
    assert ended.returncode == 0
    assert "a newer version exists" in ended.stderr
    assert (models / "one.gguf").read_bytes() == DATA
    assert luci("install", "one", "--force").returncode == 0
    assert (models / "one.gguf").read_bytes() == OTHER


def test_a_file_is_called_what_its_server_calls_it(server: FaultyServer, models: Path) -> None:
    """Again without a request; where the server does not say it, a name is asked for and nothing is left."""
    named = server.serve("/api/138296", DATA, [faults.headers(Content_Disposition="attachment; filename=one.gguf")])
    assert luci("install", named).stdout == f"{models / 'one.gguf'}\n"
    asked = len(server.exchanges())
    assert "already installed" in luci("install", named).stderr
    assert len(server.exchanges()) == asked
    nameless = server.serve("/api/138297", OTHER)
    assert_refused(luci("install", nameless), 2, "says what the file is called", "-o")
    assert_nothing_left(models, "one.gguf")
    assert luci("install", nameless, "-o", "two.gguf").returncode == 0
    assert_nothing_left(models, "one.gguf", "two.gguf")


def test_another_address_is_no_newer_version(server: FaultyServer, models: Path) -> None:
    """Not even with the same path: no server was asked. --force fetches the file from there."""
    url = server.serve("/one.gguf", DATA)
    luci("install", f"{url}?signature=1")
    asked = len(server.exchanges())
    for command in (("install",), ("install", "--dry-run")):
        ended = luci(*command, f"{url}?signature=2")
        assert (ended.returncode, len(server.exchanges())) == (0, asked), ended.stderr
        assert "installed from another address" in ended.stdout + ended.stderr
        assert "newer" not in ended.stdout + ended.stderr
    assert_nothing_left(models, "one.gguf")
    server.serve("/one.gguf", OTHER)
    assert luci("install", f"{url}?signature=2", "--force").returncode == 0
    assert (models / "one.gguf").read_bytes() == OTHER
    assert "already installed" in luci("install", f"{url}?signature=2").stderr
    assert_nothing_left(models, "one.gguf")


def test_a_foreign_file_is_adopted_when_right_and_kept_when_wrong(shop: Shop, models: Path) -> None:
    """Only --force replaces it."""
    shop.sell("one")
    models.mkdir(parents=True)
    (models / "one.gguf").write_bytes(DATA)
    adopted = luci("install", "one")
    assert adopted.returncode == 0
    assert "Adopted one.gguf" in adopted.stderr
    assert not shop.server.exchanges()
    shop.sell("two")
    (models / "two.gguf").write_text("mine")
    assert_refused(luci("install", "two"), 5, "luci did not install it", "--force")
    assert (models / "two.gguf").read_text() == "mine"
    assert luci("install", "two", "--force").returncode == 0
    assert (models / "two.gguf").read_bytes() == DATA


def test_a_folder_once_named_is_remembered(shop: Shop, tmp_path: Path) -> None:
    """list, path and clean look there from now on."""
    shop.sell("one")
    folder = tmp_path / "disk two"
    assert luci("install", "one", "--dir", folder).returncode == 0
    assert luci("path", "one").stdout == f"{folder / 'one.gguf'}\n"
    assert str(folder / "one.gguf") in luci("list").stdout
    (folder / ".luci" / "orphan.gguf.part").write_bytes(b"x")
    assert "orphan.gguf.part" in luci("clean").stdout


def test_escape_sequences_are_shown_and_have_no_effect(shop: Shop) -> None:
    """Those of a catalog, of a receipt and of a server."""
    shop.sell("one", license="free\x1b[31m")
    luci("install", "one")
    for args in (["info", "one"], ["list", "-a"], ["install", "one", "--json"], ["clean"]):
        ended = luci(*args)
        assert ended.returncode == 0
        assert "\x1b" not in ended.stdout + ended.stderr
    assert r"free\x1b[31m" in luci("info", "one").stdout
