"""`luci doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import session
from luci_dl.config.settings import Settings
from luci_dl.errors import LuciError
from luci_dl.events import Emit, Finding

if TYPE_CHECKING:
    from luci_dl.doctor.examine import Check

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

_TOLD = ("luci", "Python", "OpenSSL", "urllib3", "filelock", "system")


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
        from luci_dl.doctor.examine import examine
        from luci_dl.doctor.findings import failure
        from luci_dl.install.servers import is_offline

        log = emit if verbose else None
        checks: list[tuple[str, Check]] = [("versions", _versions)]
        mirrors: tuple[str, ...] = ()
        try:
            settings = session.settings_for(folder)
            mirrors = settings.mirrors
            checks += _of_disk(settings, session.all_folders(settings, folder), token)
        except LuciError as error:  # the servers can be asked all the same
            checks.append(("config", partial(_known, failure("config", error))))
        try:
            checks += [("reach", _not_asked)] if offline or is_offline(os.environ) else _of_servers(mirrors, log)
        except LuciError as error:
            checks.append(("reach", partial(_known, failure("reach", error))))
        return examine(checks, token, emit)

    return session.run(work, json=as_json, what="Check")


def _known(finding: Finding) -> Iterable[Finding]:
    yield finding


def _versions() -> Iterable[Finding]:
    from luci_dl.doctor.findings import ok
    from luci_dl.doctor.versions import versions

    found = versions()
    yield ok("versions", ", ".join(f"{name} {found[name]}" for name in _TOLD if name in found))


def _of_disk(settings: Settings, folders: Sequence[Path], token: CancelToken) -> list[tuple[str, Check]]:
    from luci_dl.doctor.folders import check_folder
    from luci_dl.doctor.setup import check_catalog, check_config

    each = [("folder", partial(check_folder, folder, settings, token)) for folder in folders]
    return [("config", partial(check_config, settings)), ("catalog", partial(check_catalog, settings)), *each]


def _of_servers(mirrors: Sequence[str], log: Emit | None) -> list[tuple[str, Check]]:
    """Raises: UsageError, when a variable names no server."""
    from luci_dl.doctor.servers import check_certificates, check_proxies, check_servers, servers_of
    from luci_dl.sources.endpoints import endpoints_of

    servers = servers_of(endpoints_of(os.environ, mirrors))
    return [
        ("proxy", partial(check_proxies, servers)),
        ("trust", check_certificates),
        ("reach", partial(check_servers, servers, log)),
    ]


def _not_asked() -> Iterable[Finding]:
    from luci_dl.doctor.findings import ok

    yield ok("reach", "no server is asked (--offline)")
