"""`luci move`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci move mistral --to /mnt/big/models",
        "luci move mistral phi-3 --to /mnt/big/models --dry-run",
        more="Exit codes: 3 not installed, 5 has changed or something else is there, 6 disk, 7 in use.",
    )
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@click.option("--to", metavar="DIR", default="", shell_complete=complete.folders, help="The other models folder.")
@options.folder("Move from this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be moved.")
@options.json_events
@options.quiet
def command(names: tuple[str, ...], to: str, folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Move installed models to another folder or disk.

    On the same disk nothing is copied. To another disk, the files are copied, verified and synced before the old ones
    are removed, so that one of the folders has the whole model at every moment. A file that another model needs, too,
    is copied, and stays where it is. The links of `luci link` follow. luci remembers the other folder.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.move import move_all

        if not names or not to.strip():
            raise UsageError(
                "give the models, and the folder with --to", "For example: luci move mistral --to /mnt/big/models"
            )
        error = move_all(names, to, folder, token, emit, dry_run=dry_run)
        return error.exit_code if error else 0

    return session.run(work, json=as_json, quiet=quiet, what="Move")
