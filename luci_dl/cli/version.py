"""`luci version`."""

from __future__ import annotations

import json

import click

from luci_dl.cli import options, session


@click.command(epilog=options.examples("luci version", "luci version --json"))
@options.json_answer
def command(as_json: bool) -> int:
    """Show the versions of luci, of Python and of the libraries it uses."""
    from luci_dl.api.version import versions

    found = versions()
    lines = [json.dumps(found)] if as_json else [f"{name} {version}" for name, version in found.items()]
    session.output().results(lines)
    return 0
