"""`luci doctor`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import options, session
from luci_dl.events import Emit


@click.command(
    epilog=options.examples(
        "luci doctor", "luci doctor --offline", "luci doctor --json", more="The exit code is that of the first error."
    )
)
@options.folder("Check this models folder only.", may_be_missing=True)
@options.flag("--offline", help="Contact no server.")
@options.json_events
@options.verbose
def command(folder: str | None, offline: bool, as_json: bool, verbose: bool) -> int:
    """Check everything that an install needs, and say what to do.

    That is settings, the catalog, models folders, locks, free space, leftovers, proxies, certificates, and whether the
    servers respond.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.doctor import doctor

        return doctor(folder, token, emit, offline=offline, log=emit if verbose else None)

    return session.run(work, json=as_json, what="Check")
