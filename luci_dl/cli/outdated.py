"""`luci outdated`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.errors import NetworkError
from luci_dl.events import Emit
from luci_dl.text import counted, human_size

if TYPE_CHECKING:
    from luci_dl.api.outdated import Standing

_TITLES = ("NAME", "STATE", "FETCH", "WHY")
_STATES = """\b
The states:
  current     the same as upstream
  outdated    upstream has other files; `luci upgrade` installs them
  gone        no longer upstream; it stays installed
  unknown     luci cannot tell; the last column says why
  pinned      installed by a commit or a SHA-256, so it cannot change

Exit codes: 0 whatever it finds, 3 not installed, 4 a server could not be asked.
"""


@click.command(epilog=options.examples("luci outdated", "luci outdated mistral --json", more=_STATES))
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.installed)
@options.folder("Look into this models folder only.")
@options.flag("-a", "--all", "everything", help="Show models that are up to date, too.")
@options.flag("--offline", help="Ask no server: compare with the catalog alone.")
@options.json_answer
def command(names: tuple[str, ...], folder: str | None, everything: bool, offline: bool, as_json: bool) -> int:
    """Show which installed models have changed upstream.

    Each server is asked again for what was installed, with the same options, and the digests are compared; dates and
    commits do not count. A model from a registry is outdated, too, if only its template has changed. FETCH is how much
    an upgrade would download. NAME is a name or alias from the catalog, an address as it was installed, or a file name;
    without NAMEs, all models are compared.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.config import settings
        from luci_dl.api.outdated import check

        asking = replace(settings(folder).options, offline=offline)
        found, output = check(names, folder, asking, token, session.warn), session.output()
        if as_json:
            output.results([answer("outdated", found)])
            return _exit_code(found)
        shown = [each for each in found if everything or names or each.state != "current"]
        if shown:
            output.results(table([_TITLES, *map(_row, shown)], output.out, (0, -1)))
        output.say([_count(found) if found else "No models are installed."])
        if code := _exit_code(found):
            what = f"the servers of {counted(sum(each.unreachable for each in found), 'model')} could not be asked"
            return session.report(NetworkError(what, "Try again later; `luci doctor` checks the connection.")) or code
        return 0

    return session.run(work, json=as_json, what="Comparison")


def _count(found: Sequence[Standing]) -> str:
    current, pinned = (sum(each.state == state for each in found) for state in ("current", "pinned"))
    return f"{current} of {counted(len(found), 'model')} up to date" + (f", {pinned} pinned" if pinned else "")


def _row(found: Standing) -> tuple[str, ...]:
    fetch = "?" if found.fetch is None else human_size(found.fetch) if found.state == "outdated" else ""
    return found.model.reference, found.state, fetch, found.reason


def _exit_code(found: Sequence[Standing]) -> int:
    return NetworkError.exit_code if any(each.unreachable for each in found) else 0
