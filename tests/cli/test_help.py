"""The help fits a terminal, and every usage error gets one clear message."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from luci_dl.cli.main import COMMANDS
from luci_dl.cli.main import luci as luci_group
from tests.cli.shop import assert_refused
from tests.procs import luci


def commands() -> Iterator[list[str]]:
    """luci itself, every command, and every command of a command."""
    yield []
    for name in COMMANDS:
        yield [name]
        command = luci_group.get_command(click.Context(luci_group), name)
        if isinstance(command, click.Group):
            yield from ([name, below] for below in command.commands)


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_the_help_fits_a_terminal_and_gives_examples(command: list[str]) -> None:
    """Each example is on its own line."""
    ended = luci(*command, "--help", env={"COLUMNS": "80"})
    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert max(map(len, lines)) <= 80
    examples = lines[lines.index("  Examples:") + 1 :]
    assert len([line for line in examples if "luci " in line]) >= 2
    assert not [line for line in examples if line.count("luci ") > 1 and "$(" not in line and "&&" not in line]


def test_luci_alone_shows_the_help() -> None:
    """On stderr and with exit code 2: a script has left something out."""
    ended = luci()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert all(f"  {name} " in ended.stderr for name in COMMANDS)


def test_the_version_is_shown() -> None:
    ended = luci("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("luci ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["instal", "mistral"], "did you mean `luci install`?"),
        (["nonsense"], "there is no command `nonsense`"),
        (["--jbos"], "--jbos"),
        (["install"], "no model given"),
        (["install", "--jbos", "2"], "--jobs"),
        (["install", "mistral", "-j"], "-j"),
        (["install", "mistral", "-j", "0"], "0"),
        (["install", "mistral", "--retries", "many"], "many"),
        (["install", "mistral", "--wait", "1", "--no-wait"], "--wait and --no-wait exclude each other"),
        (["install", "mistral", "--dir", ""], "--dir is empty"),
        (["clean", "--all"], "--all"),
        (["list", "extra"], "extra"),
        (["list", "--tier", "9"], "no tier 9"),
        (["info"], "NAME"),
        (["path"], "NAME"),
        (["path", "a", "b"], "b"),
        (["demo", "--fast"], "--fast"),
    ],
)
def test_bad_usage_is_exit_2(args: list[str], said: str) -> None:
    """The message names the error, the next line what to do."""
    ended = luci(*args)
    assert_refused(ended, 2, said)
    assert len(ended.stderr.splitlines()) <= 2 or "must begin" in ended.stderr
