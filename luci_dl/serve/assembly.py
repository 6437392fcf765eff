"""The parts of the server, put together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from luci_dl.cancel import CancelToken
from luci_dl.config.settings import Settings
from luci_dl.disk import fs
from luci_dl.errors import UsageError
from luci_dl.events import Emit, Event, Planned, ServeStarted, Stopped
from luci_dl.frozen import frozen
from luci_dl.install.servers import install_context, network_for, resolve_context
from luci_dl.net.origin import is_loopback
from luci_dl.plan import Options
from luci_dl.serve import files, hub, ollama, page, server, swarm
from luci_dl.serve.ahead import Ahead
from luci_dl.serve.desk import Desk
from luci_dl.serve.ledger import Ledger
from luci_dl.serve.pull import Pull
from luci_dl.serve.pulls import Pulls
from luci_dl.serve.server import Binding, Certificate
from luci_dl.serve.shelf import Shelf
from luci_dl.serve.suspects import Suspects
from luci_dl.serve.torrents import Torrents
from luci_dl.serve.tracker import Tracker

HOME = "serve"
"""The folder for what the server keeps, in luci's own one."""
PATIENCE_S = 10.0
"""A server upstream that says nothing for so long counts as away."""
FILES = 8192
"""Files that may be open at once: a connection and a file for each client."""
_TEND_S = 1.0


@frozen
class ServeOptions:
    """How to serve.

    Attributes:
        binding: where to listen.
        pull: fetch what is asked for and not there.
        allow: patterns of what may be fetched, OWNER/REPO; everything without one.
        quota: bytes that pulled files may take; None without a limit.
        certificate: for TLS; None for plain http.
        swarm: let clients share what is here with each other.
    """

    binding: Binding
    pull: bool = True
    allow: tuple[str, ...] = ()
    quota: int | None = None
    certificate: Certificate | None = None
    swarm: bool = False


def serve(serving: ServeOptions, settings: Settings, options: Options, token: CancelToken, emit: Emit) -> None:
    """Serve until the token is cancelled. Raises: UsageError; NetworkError, when it cannot listen; StorageError."""
    if settings.models_dir.is_file():
        raise UsageError(f"{settings.models_dir} is a file, not a models folder", "Give another folder with --dir.")
    fs.allow_files(FILES)
    pulling = replace(options, jobs=1, keep_partial=True, resume=True, force=False, links=(), lan=())
    context = install_context(settings, pulling, token, _of_pulls(emit))
    asking = replace(context, network=network_for(replace(options, timeout=PATIENCE_S)))
    upstream = resolve_context(settings, asking)
    upstream = replace(upstream, endpoints=replace(upstream.endpoints, hub_token=None), retries=1)
    home, folder = settings.home / HOME, settings.models_dir
    shelf, ledger, suspects = Shelf(settings.every_folder), Ledger(), Suspects(home / "suspects.json")
    torrents, tracker = Torrents(home / "torrents", shelf) if serving.swarm else None, Tracker()

    def ended(_pull: Pull) -> None:
        shelf.forget()
        if torrents:
            torrents.look()

    pulls = Pulls(folder, context, suspects, lambda but, at_most: desk.stored(but, at_most), serving.quota, ended)
    allow = serving.allow if serving.pull else None
    desk = Desk(shelf, pulls, suspects, ledger, upstream, home, folder, allow)

    def ready(address: str) -> None:
        for_others = serving.binding.host == "" or not is_loopback(serving.binding.host)
        emit(ServeStarted(address, str(folder), serving.pull, for_others))

    shared = swarm.routes(desk, torrents, tracker) if torrents else []
    tend = _tend(pulls, ledger, tracker, Ahead(desk))
    try:
        server.run(serving.binding, serving.certificate, [*routes(desk), *shared], token, tend, ready)
    finally:
        if torrents:
            torrents.close()
        pulls.close()
        desk.close()


def routes(desk: Desk) -> list[web.RouteDef]:
    """All but those of the swarm."""
    return [*files.routes(desk), *page.routes(desk), *hub.routes(desk), *ollama.routes(desk)]


def _tend(pulls: Pulls, ledger: Ledger, tracker: Tracker, ahead: Ahead) -> Callable[[], None]:
    """What is to be done all the time: bytes are counted, and about each second the pulls are looked after."""
    counted: dict[int, int] = {}
    next_at = 0.0

    def tend() -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + _TEND_S
            pulls.tend()
            tracker.tend()
            ahead.tend()
        for pull in pulls.known():
            fetched = pull.fetched
            if more := fetched - counted.get(pull.number, 0):
                ledger.received(pull.sha256, more)
                counted[pull.number] = fetched

    return tend


def _of_pulls(emit: Emit) -> Emit:
    """Without what only makes sense for a command that ends."""

    def passed(event: Event) -> None:
        if not isinstance(event, Planned | Stopped):
            emit(event)

    return passed
