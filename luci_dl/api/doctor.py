"""`luci doctor`: whether this machine is ready to install models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial

from luci_dl.api.config import Folder, settings
from luci_dl.api.version import versions
from luci_dl.cancel import CancelToken
from luci_dl.disk.same_folder import distinct
from luci_dl.doctor.findings import Check, examine, failure, ok
from luci_dl.doctor.folders import check_folder
from luci_dl.doctor.setup import check_catalog, check_config
from luci_dl.errors import LuciError
from luci_dl.events import Emit, Finding
from luci_dl.install.servers import is_offline

_SHOWN = ("luci", "Python", "OpenSSL", "urllib3", "filelock", "system")


def doctor(folder: Folder, token: CancelToken, emit: Emit, *, offline: bool = False, log: Emit | None = None) -> int:
    """Run all checks, and emit a `Finding` for everything that they find.

    Args:
        folder: check only this models folder.
        offline: ask no server.
        log: gets an event for each request.

    Returns: the exit code of the first error, 0 if there is none. Raises: Interrupted.
    """
    checks: list[tuple[str, Check]] = [("versions", _versions)]
    lists: dict[str, tuple[str, ...]] = {}  # of servers, in the settings
    try:
        found = settings(folder)
        lists = {"mirrors": found.mirrors, "http_hosts": found.http_hosts, "lan": found.lan}
        checks += [("config", partial(check_config, found)), ("catalog", partial(check_catalog, found))]
        folders = distinct([found.models_dir] if folder is not None else found.every_folder)
        checks += [("folder", partial(check_folder, path, found, token)) for path in folders]
    except LuciError as error:  # the servers can be checked all the same
        checks.append(("config", partial(iter, [failure("config", error)])))
    try:
        not_asked = partial(iter, [ok("reach", "no server is asked (--offline)")])
        checks += [("reach", not_asked)] if offline or is_offline() else _server_checks(lists, log)
    except LuciError as error:
        checks.append(("reach", partial(iter, [failure("reach", error)])))
    return examine(checks, token, emit)


def _versions() -> Iterable[Finding]:
    found = versions()
    yield ok("versions", ", ".join(f"{name} {found[name]}" for name in _SHOWN if name in found))


def _server_checks(lists: Mapping[str, tuple[str, ...]], log: Emit | None) -> list[tuple[str, Check]]:
    """Raises: UsageError, if an environment variable names no server."""
    from luci_dl.doctor.servers import check_certificates, check_proxies, check_servers, servers_of
    from luci_dl.sources.endpoints import endpoints_of

    servers = servers_of(endpoints_of(os.environ, **lists))
    return [
        ("proxy", partial(check_proxies, servers)),
        ("trust", check_certificates),
        ("reach", partial(check_servers, servers, log)),
    ]
