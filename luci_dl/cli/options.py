"""What the help and the options of several commands have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import click

from luci_dl.cli import complete, session
from luci_dl.errors import UsageError
from luci_dl.text import printable

Command = TypeVar("Command", bound=Callable[..., object])


def examples(*lines: str, more: str = "") -> str:
    """The end of a command's help: examples, one a line, and the paragraphs of `more` below them."""
    return "\n  ".join(["\b\nExamples:", *lines]) + f"\n\n{more}"


def flag(*names: str, help: str) -> Callable[[Command], Command]:
    """An option without a value."""
    return click.option(*names, is_flag=True, help=help)


json_answer = flag("--json", "as_json", help="Print JSON on stdout: see `luci help json`.")
json_events = flag("--json", "as_json", help="Print one event per line on stdout: see `luci help events`.")
quiet = flag("-q", "--quiet", help="Print only errors.")
no_lan = flag("--no-lan", help="Do not ask the servers of the setting `lan`.")
verbose = flag("-v", "--verbose", help="Show each request; tokens are masked.")


def folder(help: str, *, may_be_missing: bool = False) -> Callable[[Command], Command]:
    """The option `--dir`, as the parameter `folder`. Warns about a folder that does not exist, unless it may."""

    def check(context: click.Context, _option: click.Parameter, folder: str | None) -> str | None:
        if folder is None or context.resilient_parsing:
            return folder
        if not folder.strip():
            raise UsageError("--dir is empty", "Give a folder, or leave it out.")
        if not may_be_missing and not os.path.isdir(os.path.expanduser(folder)):
            session.output().say([f"⚠️  The folder {printable(folder)} does not exist"])
        return folder

    return click.option("--dir", "folder", metavar="PATH", shell_complete=complete.folders, callback=check, help=help)
