"""`luci doctor`."""

from __future__ import annotations

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import session
from luci_dl.events import Emit

EPILOG = """\b
Examples:
  luci doctor
  luci doctor --offline
  luci doctor --json

\b
With --json: one object per line with "event" ("finding"), "topic", "level"
("ok", "warning" or "error"), "message", "hint" (what to do) and "exit_code"
(0, or that of the error). The exit code is that of the first error, else 0.
"""


@click.command(epilog=EPILOG)
@session.dir_option("Check this models folder only.", may_be_missing=True)
@click.option("--offline", is_flag=True, help="Contact no server.")
@click.option("--json", "as_json", is_flag=True, help="Print one finding per line on stdout.")
@click.option("-v", "--verbose", is_flag=True, help="Show each request; tokens are masked.")
def command(folder: str | None, offline: bool, as_json: bool, verbose: bool) -> int:
    """Check everything that an install needs, and say what to do.

    That is settings, the catalog, models folders, locks, free space, leftovers, proxies, certificates, and whether the
    servers respond.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.doctor import doctor

        return doctor(folder, token, emit, offline=offline, log=emit if verbose else None)

    return session.run(work, json=as_json, what="Check")
