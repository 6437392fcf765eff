"""`luci version`."""

from __future__ import annotations

import json

import click

from luci_dl.cli import session

EPILOG = """\b
Examples:
  luci version
  luci version --json

\b
With --json: one object, each version by its name.
"""


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def command(as_json: bool) -> int:
    """Show the versions of luci, of Python and of the libraries it uses."""
    from luci_dl.api.version import versions

    found = versions()
    lines = [json.dumps(found)] if as_json else [f"{name} {version}" for name, version in found.items()]
    session.output().results(lines)
    return 0
