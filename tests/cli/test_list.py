"""`luci list`, `luci info` and `luci path`: what is installed, sound or not, and what could be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shop import DATA, Shop, assert_refused, sha256
from tests.procs import LUCI, Spawned, luci

SOLD = """
[[model]]
name = "{0}"
tier = 9
[[model.file]]
filename = "{0}.gguf"
url = "https://h/{0}.gguf"
size = {1}
"""
"""A model that no server has."""


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """A model of one file, under two words, and one of three, all installed."""
    shop.sell("one", aliases=["uno"], groups=["numbers"], tier=3, license="mit")
    shop.sell("set", files=["set-proj.gguf", "set-1.gguf", "set-2.gguf"])
    assert luci("install", "one", "set").returncode == 0
    return shop


def test_an_empty_list_says_where_to_find_models(home: Path) -> None:
    """Nothing on stdout, for pipes, and nothing is created on disk."""
    ended = luci("list")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "luci list --available" in ended.stderr
    assert luci("list", "--json").stdout == "[]\n"
    assert not home.exists()


def test_the_list_is_a_table(stocked: Shop) -> None:
    """Columns stand below their titles; it fits 80 columns."""
    title, one, several = luci("list").stdout.splitlines()
    assert title.split() == ["NAME", "SIZE", "INSTALLED", "VERIFIED", "FILE"]
    assert max(map(len, (title, one, several))) <= 80
    assert one[title.index("FILE") :] == "one.gguf"
    assert several[title.index("FILE") :] == "set-1.gguf and 2 more"
    assert "300kB" in one
    assert "900kB" in several


def test_in_a_terminal_the_list_is_cut_to_its_width(shop: Shop) -> None:
    """Elsewhere it is not: a program may read it."""
    name = "a" * 120 + ".gguf"
    shop.sell("long", files=[name])
    luci("install", "long")
    with Spawned("list", terminal=True) as listing:
        assert listing.wait() == 0
        assert max(map(len, listing.out.splitlines())) == 120  # the width of that terminal
        assert ".gguf" in listing.out
    assert name in luci("list").stdout


def test_list_marks_what_is_changed_or_missing(stocked: Shop, models: Path) -> None:
    """And says what to do about it, on stderr."""
    (models / "one.gguf").write_text("mine")
    (models / "set-2.gguf").unlink()
    ended = luci("list")
    assert [line.split()[3] for line in ended.stdout.splitlines()] == ["VERIFIED", "changed", "missing"]
    assert "luci verify --repair" in ended.stderr
    assert [model["state"] for model in json.loads(luci("list", "--json").stdout)] == ["changed", "missing"]


def test_the_catalog_is_listed_whole_or_by_tier(stocked: Shop) -> None:
    """Installed models are marked."""
    rows = luci("list", "--available").stdout.splitlines()
    assert len(rows) == 1 + 183 + 2
    assert rows[0].split() == ["NAME", "SIZE", "TIER", "FITS", "LICENSE", "INSTALLED", "GROUPS", "ALIASES"]
    one = next(row for row in rows if row.startswith("one "))
    assert one.split() == ["one", "300kB", "3", "memory", "mit", "yes", "numbers", "uno"]
    tier = json.loads(luci("list", "--tier", "3", "--json").stdout)
    assert {model["tier"] for model in tier} == {3}
    one = next(model for model in tier if model["name"] == "one")
    assert (one["installed"], one["fits"]["disk"], one["fits"]["memory"]) == (True, True, True)
    assert {model["installed"] for model in tier if model is not one} == {False}


def test_the_catalog_says_what_fits(shop: Shop) -> None:
    """Compared with the disk, without its reserve, and with the memory; empty for an unknown size."""
    shop.sell("small", tier=9)
    shop.sell("unknown", tier=9, digest=False)
    shop.file.write_text(shop.file.read_text() + SOLD.format("huge", 10**15))
    shown = [row.split()[3:] for row in luci("list", "--tier", "9").stdout.splitlines()[1:]]
    assert shown == [["no:", "both"], ["memory"], []]
    fits = {model["name"]: model["fits"] for model in json.loads(luci("list", "--tier", "9", "--json").stdout)}
    assert {name: (fit["disk"], fit["memory"]) for name, fit in fits.items()} == {
        "small": (True, True),
        "unknown": (None, None),
        "huge": (False, False),
    }
    assert fits["huge"]["running"]["needed"] == 10**15 + (1 << 29)
    assert fits["unknown"]["running"] is None


@pytest.mark.parametrize("args", [["list"], ["list", "-a"], ["info", "one"]])
def test_a_reader_that_goes_away_is_no_error(args: list[str], stocked: Shop) -> None:
    """As in `luci list | head -1`."""
    with Spawned(*args, command=["sh", "-c", '"$@" | true', "sh", *LUCI]) as piped:
        assert piped.wait() == 0
        assert piped.err == ""


def test_info_shows_everything_about_an_installed_model(stocked: Shop, models: Path) -> None:
    """By its name, its file or its address, in any spelling."""
    shown = luci("info", "one").stdout
    for text in ("Aliases    uno", "Groups     numbers", "Tier       3", "License    mit", "Bytes      300000"):
        assert text in shown
    assert f"SHA-256    {sha256(DATA)}" in shown
    assert f"Installed  {models / 'one.gguf'}" in shown
    assert "Proof      the SHA-256 that was given" in shown
    assert luci("info", "UNO").stdout == luci("info", "one").stdout
    facts = json.loads(luci("info", "one", "--json").stdout)
    assert (facts["name"], facts["catalog"]["aliases"]) == ("one", ["uno"])
    assert facts["installed"][0]["files"][0]["sha256"] == facts["catalog"]["files"][0]["sha256"]
    assert facts["running"].pop("memory")["free"]
    again = json.loads(luci("info", "one.gguf", "--json").stdout)
    again["running"].pop("memory")  # what is free differs
    assert again == facts


def test_info_shows_what_is_wrong(stocked: Shop, models: Path) -> None:
    (models / "set-2.gguf").unlink()
    assert "it is missing; luci install fetches it again" in luci("info", "set").stdout
    luci("clean")  # takes the receipt without file
    assert f"Missing    {models / 'set-2.gguf'}" in luci("info", "set").stdout
    assert_refused(luci("path", "set"), 5, str(models / "set-2.gguf"), "is missing", "luci install set")


def test_info_of_what_is_not_installed(shop: Shop) -> None:
    """It names the command that installs it; an unknown name gets suggestions."""
    assert "Installed  no; luci install mistral-7b" in luci("info", "mistral").stdout
    assert json.loads(luci("info", "mistral", "--json").stdout)["installed"] == []
    assert_refused(luci("info", "mistrall"), 3, "did you mean mistral")
    assert_refused(luci("info", "https://h/a.gguf"), 3, "https://h/a.gguf")


def test_path_prints_what_a_loader_is_given(stocked: Shop, models: Path, tmp_path: Path) -> None:
    """Of a set the first shard, never the projector; by each of its names."""
    for word in ("set", "SET", "set-2.gguf", "set-proj.gguf"):
        assert luci("path", word).stdout == f"{models / 'set-1.gguf'}\n"
    url = stocked.server.serve("/by-address.gguf", DATA)
    assert luci("install", url).returncode == 0
    for word in (url, f"{url}#sha256={sha256(DATA)}", "by-address.gguf"):
        assert luci("path", word).stdout == f"{models / 'by-address.gguf'}\n"
    assert_refused(luci("path", "one", "--dir", tmp_path), 3, "not installed")


def test_path_of_what_is_not_there(stocked: Shop, models: Path) -> None:
    """Exit code 3 if it is not installed, 5 if it is damaged or missing; each with the command that helps."""
    assert_refused(luci("path", "mistral"), 3, "mistral is not installed", "luci install mistral")
    assert_refused(luci("path", "onne"), 3, "did you mean one")
    assert_refused(luci("path", "https://h/a.gguf"), 3, "not installed")
    (models / "one.gguf").write_bytes(b"short")
    assert_refused(luci("path", "one"), 5, "has changed since luci installed it", "luci install one")
    (models / "one.gguf").unlink()
    assert_refused(luci("path", "one"), 5, "is missing", "luci install one")


def test_path_chooses_the_sound_one_of_two_folders(stocked: Shop, models: Path, tmp_path: Path) -> None:
    luci("install", "one", "--dir", tmp_path / "other")
    assert luci("path", "one").stdout == f"{models / 'one.gguf'}\n"
    (models / "one.gguf").unlink()
    assert luci("path", "one").stdout == f"{tmp_path / 'other' / 'one.gguf'}\n"


def test_a_model_installed_by_its_address_answers_to_its_name(shop: Shop, models: Path) -> None:
    """As `luci install` would say that it is installed already."""
    url = shop.sell("one")
    luci("install", url)
    assert luci("path", "one").stdout == f"{models / 'one.gguf'}\n"
