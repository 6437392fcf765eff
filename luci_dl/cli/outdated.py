"""`luci outdated`."""

from __future__ import annotations

from dataclasses import replace

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.errors import NetworkError
from luci_dl.events import Emit
from luci_dl.text import human_size


@click.command(
    epilog=options.examples(
        "luci outdated",
        "luci outdated mistral --json",
        more="Exit codes: 0 whatever it finds, 3 not installed, 4 a server could not be asked.",
    )
)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.installed)
@options.folder("Look into this models folder only.")
@options.flag("-a", "--all", "everything", help="Show models that are up to date, too.")
@options.flag("--offline", help="Ask no server: compare with the catalog alone.")
@options.json_answer
def command(names: tuple[str, ...], folder: str | None, everything: bool, offline: bool, as_json: bool) -> int:
    """Show which installed models are no longer what their references name.

    What counts is the digest of the files, not a date or a commit. A model whose reference names a commit or a digest
    is pinned. Where two versions cannot be told apart, that is said, and why.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.config import settings
        from luci_dl.api.upgrade import look

        asking = replace(settings(folder).options, offline=offline, retries=2)
        found, _ = look(names, folder, asking, token, emit)
        output = session.output()
        if as_json:
            output.results([answer("outdated", found)])
        else:
            shown = [each for each in found if everything or names or each.state != "current"]
            rows = [
                (each.model.reference, each.state, human_size(each.fetch) if each.fetch else "", each.reason)
                for each in shown
            ]
            if rows:
                output.results(table([("NAME", "STATE", "FETCH", "WHY"), *rows], output.out, (0, 3)))
            current = sum(each.state == "current" for each in found)
            output.say([f"{current} of {len(found)} models are up to date"] if found else ["No models are installed"])
        return NetworkError.exit_code if any(each.error for each in found) else 0

    return session.run(work, json=False, quiet=as_json, what="Looking")
