"""`luci catalog` on the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from luci_dl.api.catalog_edit import built_in_file
from luci_dl.catalog.catalog import BUILT_IN
from luci_dl.cli.catalog import command
from luci_dl.config.settings import load_settings
from tests.cli.shop import assert_refused
from tests.procs import ROOT, Spawned, lock_is_free, luci
from tests.servers.hub import Hub

ENTRY = '[[model]]\nname = "{0}"\n\n[[model.file]]\nfilename = "{0}.gguf"\nurl = "{1}/{0}.gguf"\n'
ON_HUB = "https://huggingface.co/O/R/resolve/main"
DATA = b"GGUF" + b"x" * 2000


@pytest.fixture
def own(home: Path) -> Path:
    """The catalog in luci's own folder, which does not exist yet."""
    return home / "catalog.toml"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("O/R", {"one.gguf": DATA, "two.gguf": DATA})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two models, one of them on the Hub."""
    file = tmp_path / "sent.toml"
    file.write_text(ENTRY.format("one", ON_HUB) + "\n# far away\n" + ENTRY.format("far", "https://h"))
    return file


@pytest.mark.parametrize("name", command.commands)
def test_every_subcommand_has_two_examples(name: str) -> None:
    """In lines that fit a terminal."""
    lines = luci("catalog", name, "--help", env={"COLUMNS": "80"}).stdout.splitlines()
    examples = lines[lines.index("  Examples:") + 1 :]
    assert len([line for line in examples if line.startswith("    luci catalog")]) >= 2
    assert max(map(len, lines)) <= 80
    assert "--json" in {option for param in command.commands[name].params for option in param.opts}


def test_a_missing_catalog_is_no_problem(own: Path) -> None:
    """luci says where it would be, and creates nothing."""
    ended = luci("catalog", "check")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"You have no catalog of your own yet: it would be {own}" in ended.stdout
    assert "Built in: 183 models, 346 files, 5 without a digest: stablelm-2" in ended.stdout
    assert str(own) in luci("catalog", "list").stderr
    assert json.loads(luci("catalog", "list", "--json").stdout) == []
    assert json.loads(luci("catalog", "check", "--json").stdout)["file"] is None
    assert not own.parent.exists()


def test_what_is_added_can_be_listed_and_installed(file: Path, own: Path, hub: Hub) -> None:
    """Immediately, without any setting."""
    ended = luci("catalog", "add", file)
    assert (ended.returncode, ended.stdout) == (0, f"Added: one, far\nYour catalog: {own}\n")
    assert [row.split()[0] for row in luci("catalog", "list").stdout.splitlines()] == ["NAME", "one", "far"]
    (one, far) = json.loads(luci("catalog", "list", "--json").stdout)
    assert (one["name"], far["name"], one["installed"]) == ("one", "far", False)
    assert luci("install", "one").returncode == 0
    assert (own.parent / "models" / "one.gguf").read_bytes() == DATA
    facts = json.loads(luci("catalog", "add", file, "--json").stdout)
    assert facts == {"file": str(own), "added": [], "replaced": [], "unchanged": ["one", "far"]}


def test_an_entry_is_replaced_only_with_force(file: Path, own: Path) -> None:
    """The message names the option."""
    luci("catalog", "add", file)
    file.write_text(ENTRY.format("one", "https://other"))
    assert_refused(luci("catalog", "add", file), 2, "already has one", "--force")
    assert "https://other" not in own.read_text()
    assert luci("catalog", "add", file, "--force").stdout.startswith("Replaced: one\n")
    assert "https://other" in own.read_text()


def test_check_reports_everything_at_once(file: Path) -> None:
    """For another file, too; no command accepts it."""
    file.write_text('[[model]]\nname = "all"\ntier = "1"\n[[model.file]]\nfilename = "../x"\n')
    ended = luci("catalog", "check", file)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    for text in ("model all, name: ", "model all, tier: ", "model all, file ../x, filename: "):
        assert f"{file}, {text}" in ended.stderr
    facts = luci("catalog", "check", file, "--json")
    assert (facts.returncode, len(json.loads(facts.stdout)["problems"])) == (2, 4)
    refused = luci("list", "--available", env={"LUCI_CATALOG": str(file)})
    assert_refused(refused, 2, "model all, name", f"3 more: luci catalog check {file}")


def test_check_reports_overrides_and_warnings(file: Path) -> None:
    """Overridden models, and entries that a command will refuse."""
    tiny = 'name = "two"\naliases = ["Tiny"]'
    file.write_text(
        ENTRY.format("mistral-7b", "https://h")
        + ENTRY.format("two", "http://h").replace('name = "two"', tiny)
        + ENTRY.format("three", "https://h").replace("three.gguf", "phi-2-2.7b-Q4_K_M.gguf", 1)
        + f'sha256 = "{"0" * 64}"\n'
    )
    ended = luci("catalog", "check", file)
    assert ended.returncode == 0
    assert f"{file}: 3 models, 3 files, 2 without a digest: mistral-7b.gguf, two.gguf\n" in ended.stdout
    for text in (
        "mistral-7b overrides the built-in model of that name",
        '"Tiny" now means two, not the built-in tinyllama',
        "model two, file two.gguf: http://h/two.gguf is plain http and no digest is known",
        "phi-2 (SHA-256 324356668fa5...) and three (SHA-256 000000000000...) both write phi-2-2.7b-Q4_K_M.gguf",
    ):
        assert text in ended.stderr
    facts = json.loads(luci("catalog", "check", file, "--json").stdout)
    assert (facts["models"], facts["files"], len(facts["warnings"]), facts["problems"]) == (3, 3, 2, [])
    assert facts["overrides"] == [
        {"name": "mistral-7b", "model": "mistral-7b", "built_in": "mistral-7b"},
        {"name": "Tiny", "model": "two", "built_in": "tinyllama"},
    ]


def test_an_update_reports_old_and_new_values(file: Path, own: Path, hub: Hub) -> None:
    """A dry run only reports; after the update there are no changes."""
    luci("catalog", "add", file)
    dry = luci("catalog", "update", "--dry-run", "--pin")
    assert "size unknown -> 2004\n" in dry.stdout
    assert dry.stdout.count("one, one.gguf: ") == 3
    assert "Compared 1 file with the Hub, 1 not on the Hub: 3 changes\n" in dry.stderr
    assert "size" not in own.read_text()
    done = luci("catalog", "update", "--pin")
    assert (done.returncode, done.stdout) == (0, dry.stdout)
    assert f"3 changes written to {own}" in done.stderr
    facts = json.loads(luci("catalog", "update", "--json").stdout)
    assert facts == {
        "file": str(own),
        "written": False,
        "compared": 1,
        "skipped": 0,
        "not_on_hub": 1,
        "changes": [],
        "problems": [],
    }
    (one, _) = json.loads(luci("catalog", "list", "--json").stdout)
    assert "/resolve/main/" not in one["files"][0]["urls"][0]


def test_a_pinned_file_is_installed_though_the_branch_moved_on(file: Path, own: Path, hub: Hub) -> None:
    """The commit pins the file."""
    luci("catalog", "add", file)
    luci("catalog", "update", "--pin")
    hub.repos["O/R"].revisions = {"old": hub.repos["O/R"].revisions["main"], "main": {"one.gguf": b"GGUF" + b"y" * 999}}
    assert luci("install", "one").returncode == 0
    assert (own.parent / "models" / "one.gguf").read_bytes() == DATA
    changes = json.loads(luci("catalog", "update", "--json").stdout)["changes"]
    assert [change["key"] for change in changes] == ["size", "sha256", "commit"]
    assert (changes[0]["old"], changes[0]["new"]) == (2004, 1003)


@pytest.mark.parametrize(("args", "code"), [([], 3), (["--json"], 3), (["nope"], 3), (["nope", "--json"], 3)])
def test_an_update_that_fails_says_why(args: list[str], code: int, file: Path, own: Path, hub: Hub) -> None:
    """With the exit code of the error; the file is not changed."""
    luci("catalog", "add", file)
    before = own.read_text()
    del hub.repos["O/R"]
    ended = luci("catalog", "update", *args)
    assert ended.returncode == code
    assert ("O/R" if "nope" not in args else 'no model "nope"') in ended.stdout + ended.stderr
    assert own.read_text() == before


def test_ctrl_c_ends_an_update_at_once(file: Path, own: Path, hub: Hub) -> None:
    """By the signal, and nothing is written."""
    luci("catalog", "add", file)
    before = own.read_text()
    hub.stall = True
    with Spawned("catalog", "update", terminal=True) as process:
        assert hub.stalled.wait(20)
        process.press("\x03")
        assert process.wait() == -signal.SIGINT
        assert "Update interrupted by user" in process.out
        assert "Download" not in process.out
    assert own.read_text() == before
    assert lock_is_free(own.with_name("catalog.lock"))


def test_the_script_compares_lucis_own_catalog(hub: Hub, tmp_path: Path) -> None:
    """Files that the Hub does not have are left alone."""
    before = BUILT_IN.read_bytes()
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts" / "update_catalog.py", "tinyllama", "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    facts = json.loads(ended.stdout)
    assert (ended.returncode, facts["skipped"], facts["written"]) == (3, 1, False)
    assert facts["file"] == str(built_in_file(load_settings(os.environ)).file)
    assert BUILT_IN.read_bytes() == before


def test_wrong_usage_is_refused() -> None:
    assert_refused(luci("catalog", "lst"), 2, "lst", "luci catalog --help")
    assert_refused(luci("catalog", "add"), 2, "FILE")
    assert_refused(luci("catalog", "check", "/nope.toml"), 2, "cannot read the catalog /nope.toml: No such file")
    assert isinstance(command, click.Group)
