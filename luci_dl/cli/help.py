"""`luci help`."""

from __future__ import annotations

from typing import Any

import click

from luci_dl.cli import complete

EPILOG = """\b
Examples:
  luci help
  luci help install
"""


@click.command(epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="[COMMAND...]", shell_complete=complete.commands)
def command(words: tuple[str, ...]) -> Any:
    """Show what luci can do, or how to use one command: the same as --help."""
    from luci_dl.cli.main import luci

    return luci.main(args=[*words, "--help"], prog_name="luci", standalone_mode=False)
