"""`luci export`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci export mistral /media/stick",
        "luci export mistral phi-3 /media/stick --dry-run",
        more="Exit codes: 2 usage, 3 not installed, 5 the file has changed, 6 disk.",
    )
)
@click.argument("words", nargs=-1, metavar="NAME... DIR", shell_complete=complete.installed)
@options.folder("Look into this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be done, and whether it would work.")
@options.json_events
@options.quiet
def command(words: tuple[str, ...], folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Copy installed models to a stick, for a machine without a line.

    DIR gets the files, their receipts, and a SHA256SUMS that `sha256sum -c` reads. There, `luci import DIR` installs
    them. What a FAT file system cannot hold (4 GiB and more) is refused before the first byte.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.move import export_models

        if len(words) < 2:
            raise UsageError("give the models, and the folder last", "For example: luci export mistral /media/stick")
        *names, to = words
        export_models(*names, to=to, folder=folder, dry_run=dry_run, token=token, emit=emit)
        return 0

    return session.run(work, json=as_json, quiet=quiet, what="Export")
