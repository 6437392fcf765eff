"""`luci remove`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit
from luci_dl.text import human_size, printable
from luci_dl.ui.describe import words

if TYPE_CHECKING:
    from luci_dl.library.remove import Removal

EPILOG = """\b
Examples:
  luci remove mistral
  luci remove mistral --dry-run
  luci remove phi-3 tinyllama --yes

\b
Exit codes: 2 nobody agreed, 3 not installed, 6 disk, 7 in use.
"""


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@session.dir_option("Remove from this models folder alone.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One event a line on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(names: tuple[str, ...], folder: str | None, dry_run: bool, yes: bool, as_json: bool, quiet: bool) -> int:
    """Uninstall models: all files of each, and what interrupted downloads of it left. A file that is part of another
    installed model, too, stays.

    NAME is a name or alias of the catalog, an address as it was installed, or the file's own name.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.remove import plan_removals, remove_all

        session.settings_for(folder)
        removals = plan_removals(names, folder)
        if not (yes or dry_run):
            _ask(removals, token)
        remove_all(removals, token, emit, dry_run=dry_run)
        return 0

    if not names:
        return session.report(UsageError("no model is named", "`luci list` shows what is installed."), json=as_json)
    return session.run(work, json=as_json, quiet=quiet, what="Removal")


def _ask(removals: Sequence[Removal], token: CancelToken) -> None:
    """Raises: UsageError, unless somebody at the terminal says yes; Interrupted."""
    size = human_size(sum(removal.freed for removal in removals))
    what = f"{len(removals)} models, {size}" if len(removals) > 1 else f"{printable(removals[0].reference)}, {size}"
    if not (os.isatty(0) and os.isatty(2)):  # sys.stdin is None where it was closed
        raise UsageError(f"nobody is at a terminal to agree that {what} goes", "Agree beforehand with --yes.")
    told = [line for removal in removals for event in removal.told(dry_run=True) for line in words(event)]
    session.output().say(told)
    if not session.agreed(f"Remove {what}?", token):
        raise UsageError("nothing was removed", "Name what shall go; --dry-run shows what that means.")
