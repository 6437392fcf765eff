"""The server: its sockets, its routes, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from luci_dl.cancel import CancelToken
from luci_dl.errors import NetworkError, UsageError
from luci_dl.frozen import frozen
from luci_dl.serve.peer import peer_of
from luci_dl.serve.refusals import Handler, refuse

TEND_S = 0.1
"""How soon the end of the server is noticed."""
KEEPALIVE_S = 75.0
"""How long a connection may stay without a request."""
CUT_S = 0.1
"""How long connections may go on after the end; to aiohttp 0 means for ever."""
MAX_REQUESTS, MAX_REQUESTS_EACH = 2000, 500
"""Requests that are answered at the same time, of all clients and of one address; more are told to come back."""
_METHODS = {"GET", "HEAD"}
_POSTED = "/paths-info/"


@frozen
class Binding:
    """Where to listen. `host` is empty for every address of this machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Binding:
        """Of HOST:PORT, [IPv6]:PORT or :PORT. Raises: UsageError."""
        try:
            parts = urlsplit(f"//{text}")
            port = parts.port
        except ValueError:
            port = None
        if port is None or parts.path or parts.query or "@" in text:
            raise UsageError(f"--bind: expected HOST:PORT, found {text}", "For example: --bind 192.168.1.5:8480")
        return cls(parts.hostname or "", port)


@frozen
class Certificate:
    """For TLS: paths of PEM files."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Raises: UsageError, when they cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.chain, self.key)
        except (OSError, ssl.SSLError) as error:
            hint = "--tls-cert takes the certificate with its chain, --tls-key its key without a password, both as PEM."
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--tls-cert {self.chain}, --tls-key {self.key}: {reason}", hint) from error
        return context


def run(
    binding: Binding,
    certificate: Certificate | None,
    routes: Iterable[web.RouteDef],
    token: CancelToken,
    tend: Callable[[], None],
    ready: Callable[[str], None],
) -> None:
    """Serve until the token is cancelled; then all connections are cut.

    Args:
        tend: called about ten times a second.
        ready: called with the address once clients can connect.

    Raises: NetworkError, when it cannot listen there; UsageError, for the certificate.
    """
    tls = certificate.context() if certificate else None
    asyncio.run(_run(binding, tls, routes, token, tend, ready))


async def _run(
    binding: Binding,
    tls: ssl.SSLContext | None,
    routes: Iterable[web.RouteDef],
    token: CancelToken,
    tend: Callable[[], None],
    ready: Callable[[str], None],
) -> None:
    app = web.Application(middlewares=[_only_reads, _only_links, _limit(), refuse])
    app.router.add_routes(routes)
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
        shutdown_timeout=CUT_S,
        handle_signals=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(
            runner, binding.host or None, binding.port, ssl_context=tls, reuse_address=True, backlog=1024
        )
        try:
            await site.start()
        except OSError as error:
            where = f"{binding.host or 'every address'}, port {binding.port}"
            raise NetworkError(
                f"cannot listen at {where}: {os.strerror(error.errno or 0)}",
                "Another luci serve may run there: see the page at that address, or choose another --bind.",
            ) from error
        ready(_address(binding, runner, tls is not None))
        while not token.cancelled:
            tend()
            await asyncio.sleep(TEND_S)
    finally:
        with contextlib.suppress(asyncio.TimeoutError):
            await runner.cleanup()


def _address(binding: Binding, runner: web.AppRunner, tls: bool) -> str:
    host = binding.host or "0.0.0.0"
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{runner.addresses[0][1]}"


@web.middleware
async def _only_reads(request: web.Request, handler: Handler) -> web.StreamResponse:
    """GET and HEAD only, and the one question that clients post."""
    if request.method in _METHODS or (request.method == "POST" and _POSTED in request.path):
        return await handler(request)
    raise web.HTTPMethodNotAllowed(request.method, sorted(_METHODS))


@web.middleware
async def _only_links(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of another site may link to what is here. It could let this server fetch whatever it embeds otherwise."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.headers.get("Sec-Fetch-Dest") != "document":
        raise web.HTTPForbidden(text="A page of another site may not use this server.\n")
    return await handler(request)


def _limit() -> Middleware:
    answering = Counter[str]()

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        address = peer_of(request).address
        if answering.total() >= MAX_REQUESTS or answering[address] >= MAX_REQUESTS_EACH:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"})
        answering[address] += 1
        try:
            return await handler(request)
        finally:
            answering[address] -= 1
            if not answering[address]:
                del answering[address]

    return limited
