"""`luci import`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci import /media/stick",
        "luci import /media/stick mistral --dry-run",
        more="Exit codes: 2 usage, 3 not on the stick, 5 wrong bytes or an invalid receipt, 6 disk, 7 locked.",
    )
)
@click.argument("source", metavar="DIR", required=False, default="", shell_complete=complete.folders)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.folder("Import into this models folder.", may_be_missing=True)
@options.flag("-n", "--dry-run", help="Only show what would be done, and whether it would work.")
@options.json_events
@options.quiet
def command(source: str, names: tuple[str, ...], folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Install models from a stick that `luci export` wrote. No server is asked.

    Every file is proved by the digest in its receipt, or in the SHA256SUMS of DIR; its name proves nothing. A model is
    imported as a whole or not at all.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.move import import_models

        if not source:
            raise UsageError("give the folder to import from", "For example: luci import /media/stick")
        import_models(source, *names, folder=folder, dry_run=dry_run, token=token, emit=emit)
        return 0

    return session.run(work, json=as_json, quiet=quiet, what="Import")
