"""`luci search`."""

from __future__ import annotations

import click

from luci_dl.api.catalog import offers, search
from luci_dl.api.config import settings
from luci_dl.cli import catalog_table, complete, session
from luci_dl.errors import LuciError

EPILOG = """\b
Examples:
  luci search qwen
  luci search vision apache
  luci search q4_k_m coder --json

\b
With --json: one array of models, as in `luci list --available --json`.
Exit code 3: nothing was found.
"""


@click.command(epilog=EPILOG)
@click.argument("text", nargs=-1, required=True, metavar="TEXT...", shell_complete=complete.known)
@session.dir_option("Check the disk space of this models folder.", may_be_missing=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def command(text: tuple[str, ...], folder: str | None, as_json: bool) -> int:
    """Search the catalog: names, aliases, groups, licenses and file names.

    A model is found if it contains every word; models of that name come first.
    """
    try:
        found = offers(search(" ".join(text)), settings(folder), folder)
    except LuciError as error:
        return session.report(error, json=as_json)
    return catalog_table.show(found, session.output(), as_json=as_json)
