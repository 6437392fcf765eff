"""`luci import`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci import /media/usb",
        "luci import /media/usb mistral --dir /data/models",
        more="Exit codes: 3 not in the folder, 5 wrong bytes, 6 disk, 7 in use.",
    )
)
@click.argument("source", metavar="DIR", required=False, default="", shell_complete=complete.folders)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.known)
@options.folder("Import into this models folder.", may_be_missing=True)
@options.flag("-n", "--dry-run", help="Only show what would be imported.")
@options.json_events
@options.quiet
def command(source: str, names: tuple[str, ...], folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Install models from a USB stick, without a network.

    DIR has what `luci export` wrote, or model files that a SHA256SUMS lists. Each file is verified while it is copied;
    of a model with a wrong one nothing is imported. A file that luci did not export gets the name of the model in the
    catalog that has its digest. Without NAME, everything is imported. The settings `links` and `backup_models_dir`
    count as for `luci install`.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.import_ import import_all

        if not source.strip():
            raise UsageError("give the folder to import from", "For example: luci import /media/usb")
        error = import_all(source, names, folder, token, emit, dry_run=dry_run)
        return error.exit_code if error else 0

    return session.run(work, json=as_json, quiet=quiet, what="Import")
