"""`luci remove`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit
from luci_dl.text import human_size, printable
from luci_dl.ui.describe import describe

if TYPE_CHECKING:
    from luci_dl.api.remove import Removal


@click.command(
    epilog=options.examples(
        "luci remove mistral",
        "luci remove mistral --dry-run",
        "luci remove phi-3 tinyllama --yes",
        more="Exit codes: 2 not confirmed, 3 not installed, 6 disk, 7 in use.",
    )
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@options.folder("Remove from this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be removed.")
@options.flag("-y", "--yes", help="Do not ask for confirmation.")
@options.json_events
@options.quiet
def command(names: tuple[str, ...], folder: str | None, dry_run: bool, yes: bool, as_json: bool, quiet: bool) -> int:
    """Uninstall models.

    All files of a model are removed, and what interrupted downloads of it left behind. A file that is also part of
    another installed model stays. NAME is a name or alias from the catalog, an address as it was installed, or a file
    name.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.remove import plan_removals, remove_all

        removals = plan_removals(names, folder, emit)
        if not (yes or dry_run):
            _confirm(removals, token)
        remove_all(removals, token, emit, dry_run=dry_run)
        return 0

    if not names:
        return session.report(UsageError("no model given", "`luci list` shows what is installed."), json=as_json)
    return session.run(work, json=as_json, quiet=quiet, what="Removal")


def _confirm(removals: Sequence[Removal], token: CancelToken) -> None:
    """Raises: UsageError, unless the user confirms; Interrupted."""
    size = human_size(sum(removal.freed for removal in removals))
    what = f"{len(removals)} models, {size}" if len(removals) > 1 else f"{printable(removals[0].reference)}, {size}"
    details = [line for removal in removals for event in removal.events(dry_run=True) for line in describe(event)]
    if not session.confirmed(f"Remove {what}?", f"to remove {what}", token, details):
        raise UsageError("nothing was removed", "Name the models to remove; --dry-run shows what would be removed.")
