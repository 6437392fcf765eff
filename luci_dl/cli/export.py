"""`luci export`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci export mistral phi-3 /media/usb",
        "luci export mistral /media/usb/models --dry-run",
        more="Exit codes: 3 not installed, 5 has changed or something else is there, 6 disk, 7 in use.",
    )
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@click.argument("to", metavar="DIR", required=False, default="", shell_complete=complete.folders)
@options.folder("Export from this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be exported.")
@options.json_events
@options.quiet
def command(names: tuple[str, ...], to: str, folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Copy installed models to a USB stick, for machines without a network.

    DIR then contains the models, what luci knows about them (so that `luci list --dir DIR` works), and a SHA256SUMS for
    `sha256sum -c`. A file that is too large for the stick is refused before the first byte: FAT cannot hold one of
    4 GiB. On the other machine: luci import DIR.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.export import export_all

        if not names or not to.strip():
            raise UsageError("give the models, and the folder last", "For example: luci export mistral /media/usb")
        error = export_all(names, to, folder, token, emit, dry_run=dry_run)
        return error.exit_code if error else 0

    return session.run(work, json=as_json, quiet=quiet, what="Export")
