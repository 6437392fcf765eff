"""`luci unlink`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import UsageError
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci unlink ollama mistral",
        "luci unlink hf mistral --dry-run",
        more="Exit codes: 2 unknown program, 3 no such link, 6 disk or permission.",
    )
)
@click.argument("target", metavar="TARGET", required=False, default="", shell_complete=complete.link_targets)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@options.folder("Look into this models folder only.")
@options.flag("-n", "--dry-run", help="Only show what would be removed.")
@options.json_events
@options.quiet
def command(target: str, names: tuple[str, ...], folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Remove what `luci link` made; the models stay installed.

    TARGET is the program or the folder that the models were linked to. What has been changed there since, or is needed
    by something else, stays.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.link import unlink

        if not target or not names:
            raise UsageError("give a program and a model", "`luci link --list` shows what is linked.")
        unlink(target, *names, folder=folder, dry_run=dry_run, token=token, emit=emit)
        return 0

    return session.run(work, json=as_json, quiet=quiet, what="Unlinking")
