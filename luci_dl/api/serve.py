"""`luci serve`: the installed models for other machines, and what these ask for fetched once."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from luci_dl.api.config import Folder, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.cancel import CancelToken
from luci_dl.errors import UsageError
from luci_dl.events import Emit, ignore
from luci_dl.plan import Options

__all__ = ["nginx_configuration", "serve"]

DEFAULT_BIND = "127.0.0.1:8480"


def serve(
    *,
    bind: str = DEFAULT_BIND,
    folder: Folder = None,
    pull: bool = True,
    allow: Sequence[str] = (),
    quota: int | None = None,
    certificate: tuple[Path, Path] | None = None,
    swarm: bool = False,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> None:
    """Serve models until the token is cancelled, as `luci serve` does. Usable in any thread.

    Args:
        bind: HOST:PORT to listen at.
        folder: the models folder that fetched files go to; files of all models folders are served.
        pull: fetch what is asked for and not there.
        allow: patterns of what may be fetched, like "OWNER/*"; everything without one.
        quota: bytes that fetched files may take.
        certificate: paths of the certificate with its chain, and of its key, for TLS.
        swarm: let clients share the files that are here with each other.
        options: how to fetch; by default with the settings of config.json.
        emit: called with each event, from any thread.

    Raises: UsageError, also without the extra `serve`; NetworkError, when it cannot listen there; StorageError; what
        `emit` raised.
    """
    _check_extra()
    from luci_dl.serve import assembly
    from luci_dl.serve.server import Binding, Certificate

    tls = Certificate(*certificate) if certificate else None
    with EmitGuard(token, emit) as guard:
        found = settings(folder)
        serving = assembly.ServeOptions(Binding.parse(bind), pull, tuple(allow), quota, tls, swarm)
        assembly.serve(serving, found, options or found.options, guard.token, guard.emit)


def nginx_configuration(
    *, bind: str = DEFAULT_BIND, folder: Folder = None, certificate: tuple[Path, Path] | None = None
) -> str:
    """A configuration that puts nginx in front of `serve`, as `luci serve --print-nginx` prints it.

    Args:
        bind, folder: as of `serve`.
        certificate: paths of the certificate with its chain, and of its key, for nginx.

    Raises: UsageError, also without the extra `serve`.
    """
    _check_extra()
    from luci_dl.serve.nginx import configuration
    from luci_dl.serve.server import Binding, Certificate

    tls = Certificate(*certificate) if certificate else None
    return configuration(Binding.parse(bind), settings(folder).models_dir, tls)


def _check_extra() -> None:
    if importlib.util.find_spec("aiohttp") is None:
        raise UsageError("luci serve needs aiohttp, which is not installed", "pip install 'luci-dl[serve]'")
