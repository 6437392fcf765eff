"""`luci clean`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import StorageError
from luci_dl.events import Emit


@click.command(epilog=options.examples("luci clean", "luci clean --dry-run", "luci clean mistral"))
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.known_or_installed)
@options.folder("Clean this models folder only.")
@options.flag("-n", "--dry-run", help="Only list what would be removed.")
@options.json_events
@options.quiet
def command(names: tuple[str, ...], folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Remove what interrupted downloads and crashes left behind.

    Installs that a crash interrupted at the very end are completed first. Then partial files, journals and idle lock
    files are removed: of all models, or of the NAMEs only. What a running luci is using stays, and so does every file
    that luci did not create.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.clean import clean

        report = clean(*names, folder=folder, dry_run=dry_run, token=token, emit=emit)
        return StorageError.exit_code if report.failed else 0

    return session.run(work, json=as_json, quiet=quiet)
