"""`luci search`."""

from __future__ import annotations

import click

from luci_dl.api.catalog import offers, search
from luci_dl.api.config import settings
from luci_dl.cli import catalog_table, complete, options, session


@click.command(
    epilog=options.examples(
        "luci search qwen",
        "luci search gemma vision",
        "luci search q4_k_m coder --json",
        more="Exit code 3: nothing was found.",
    )
)
@click.argument("text", nargs=-1, required=True, metavar="TEXT...", shell_complete=complete.known)
@options.folder("Check the disk space of this models folder.", may_be_missing=True)
@options.json_answer
def command(text: tuple[str, ...], folder: str | None, as_json: bool) -> int:
    """Search the catalog: names, aliases, families, groups, licences and file names.

    A model is found if it contains every word; models of that name come first.
    """
    found = offers(search(" ".join(text)), settings(folder), folder)
    return catalog_table.show(found, session.output(), as_json=as_json)
