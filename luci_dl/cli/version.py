"""`luci version`."""

from __future__ import annotations

from typing import Any

import click

EPILOG = """\b
Examples:
  luci version
  luci --version
"""


@click.command(epilog=EPILOG)
def command() -> Any:
    """Tell the version of luci and of what it stands on: the same as --version."""
    from luci_dl.cli.main import luci

    return luci.main(args=["--version"], prog_name="luci", standalone_mode=False)
