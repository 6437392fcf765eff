"""`luci move`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci move mistral --to /data/models",
        "luci move mistral phi-3 --to /data/models --dry-run",
        more="Exit codes: 2 usage, 3 not installed, 5 the file has changed, 6 disk, 7 in use.",
    )
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@click.option("--to", metavar="DIR", default="", shell_complete=complete.folders, help="The other models folder.")
@options.folder("Move from this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be done, and whether it would work.")
@options.json_events
@options.quiet
def command(names: tuple[str, ...], to: str, folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Move installed models to another models folder.

    On one disk only names change. To another disk the files are copied, verified and synced before the old ones are
    removed, so that there is a whole copy at every moment. Links to other programs follow. luci remembers the folder.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.move import move

        if not names or not to:
            raise UsageError("give the models, and the folder with --to", "For example: luci move mistral --to DIR")
        move(*names, to=to, folder=folder, dry_run=dry_run, token=token, emit=emit)
        return 0

    return session.run(work, json=as_json, quiet=quiet, what="Move")
