"""`luci clean`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, session
from luci_dl.errors import StorageError
from luci_dl.events import Emit

EPILOG = """\b
Examples:
  luci clean
  luci clean --dry-run
  luci clean mistral
"""


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.known_or_installed)
@session.dir_option("Clean this models folder only.")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one event per line on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
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
