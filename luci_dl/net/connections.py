"""Connections, and the pools that keep them: direct, or through a proxy. What urllib3 leaves to its users is here."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException, RemoteDisconnected
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from luci_dl import __version__
from luci_dl.errors import NetworkError
from luci_dl.events import Emit, Requested
from luci_dl.net.dial import dial
from luci_dl.net.proxy import INSTALL_SOCKS, Proxy, TunnelRefused, forwarding_proxy_for, proxy_for
from luci_dl.net.raw_response import KeepsRawResponse, RawResponse
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.sent_secrets import PUBLIC_HEADERS, note_sent
from luci_dl.net.translate import proxy_auth_error, translate_errors
from luci_dl.net.trust import Trust
from luci_dl.text import distinct_address

CONNECT_S = 20.0
"""How long to wait for a connection."""
FIRST_BYTE_S = 120.0
"""How long to wait for a response to begin: some proxies fetch and scan a whole file before they send a byte."""
READ_S = 30.0
"""How long to wait for more of a response."""
IDLE = 32
"""Connections to one server that are kept for the next requests: no fewer than there are files fetched side by side."""
MAX_STALE = 3
"""Reused connections that may fail before a request does."""


class _Plain(KeepsRawResponse, HTTPConnection):  # type: ignore[misc]
    def _new_conn(self) -> socket.socket:
        """Try every address of the host. Raises: what urllib3 expects."""
        try:
            sock, seconds = dial(self._dns_host, self.port, float(self.timeout or 0), self.socket_options or ())
        except socket.gaierror as error:
            raise exceptions.NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise exceptions.ConnectTimeoutError(self, "no connection") from error
        except OSError as error:
            raise exceptions.NewConnectionError(self, error.strerror or str(error)) from error
        self.round_trip = None if self.proxy else seconds
        return sock

    def _tunnel(self) -> None:
        """Ask the proxy for a tunnel to the host. Raises: TunnelRefused; HTTPException; OSError."""
        host = (self._tunnel_host or "").strip("[]")
        if not host.isascii() or not host.isprintable() or " " in host:
            raise exceptions.LocationParseError(host)
        target = f"[{host}]:{self._tunnel_port}" if ":" in host else f"{host}:{self._tunnel_port}"
        headers = {**self._tunnel_headers, "Host": target}  # type: ignore[attr-defined]
        lines = [f"CONNECT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))
        response = self.response_class(self.sock, method="CONNECT")
        try:
            response.begin()
            if not 200 <= response.status < 300:
                joined = {name.lower(): ", ".join(response.headers.get_all(name) or []) for name in response.headers}
                raise TunnelRefused(response.status, response.reason, joined)
        finally:
            response.close()


class _Secure(_Plain, HTTPSConnection):  # type: ignore[misc]
    pass


class Stale(RemoteDisconnected):
    """A reused connection was lost meanwhile, or had bytes of an earlier response left."""


class _Pool(urllib3.HTTPConnectionPool):
    def _make_request(self, conn: Any, *args: Any, **more: Any) -> Any:
        """Raises: Stale; what urllib3 raises."""
        is_reused = not conn.is_closed
        try:
            return super()._make_request(conn, *args, **more)
        except (HTTPException, ConnectionError) as error:
            if is_reused:
                raise Stale("") from error
            raise


class _PlainPool(_Pool):
    ConnectionCls = _Plain


class _SecurePool(_Pool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


class Transport:
    """Sends single requests, directly or through the proxies that the environment names. Thread-safe.

    Args:
        connect_s: seconds to wait for a connection.
        read_s: seconds without a byte after which a read fails; None for `FIRST_BYTE_S`, and then `READ_S`.
        log: receives each request.
        trust: the certificates.
    """

    def __init__(self, connect_s: float, read_s: float | None, log: Emit | None, trust: Trust) -> None:
        self._log = log
        self._trust = trust
        self._timeout = urllib3.Timeout(connect=connect_s, read=read_s or FIRST_BYTE_S)
        self._read_s = read_s or READ_S
        self._managers: dict[tuple[str, Proxy | None], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def send(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Send a GET request. Returns: the response of any status, redirects too, its body unread.

        Raises: AttemptFailed; NetworkError.
        """
        proxy, began = proxy_for(url), time.monotonic()
        note_sent(url, {**headers, **(proxy.headers if proxy else {})})
        try:
            response = self._send(url, headers, proxy)
        except (AttemptFailed, NetworkError) as error:
            if self._log:
                self._log(requested(url, headers, None, time.monotonic() - began, str(error)))
            raise
        if self._log:
            self._log(requested(url, headers, response.status, time.monotonic() - began))
        if response.status == 407 and proxy and proxy == forwarding_proxy_for(url):
            response.close()
            raise proxy_auth_error(proxy, response.headers.get("Proxy-Authenticate", ""))
        return response

    def _send(self, url: str, headers: Mapping[str, str], proxy: Proxy | None) -> urllib3.BaseHTTPResponse:
        with translate_errors(url, proxy):
            request = partial(
                self._manager(urlsplit(url).scheme, proxy).urlopen,
                "GET",
                url,
                headers={"User-Agent": f"luci-dl/{__version__}", "Accept-Encoding": "identity", **headers},
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=self._timeout,
            )
            response = _repeated_if_stale(request)
        raw_response(response).wait_at_most(self._read_s)
        return response

    def _manager(self, scheme: str, proxy: Proxy | None) -> urllib3.PoolManager:
        key = scheme, proxy
        with self._lock:
            if key not in self._managers:
                self._managers[key] = _new_manager(scheme, proxy, self._trust)
            return self._managers[key]


def _repeated_if_stale(request: Callable[[], urllib3.BaseHTTPResponse]) -> urllib3.BaseHTTPResponse:
    """The response to the request, which is sent again at once if only the reused connection failed."""
    for _ in range(MAX_STALE):
        try:
            return request()
        except exceptions.ProtocolError as error:
            if not isinstance(error.args[-1], Stale):
                raise
    return request()


def _new_manager(scheme: str, proxy: Proxy | None, trust: Trust) -> urllib3.PoolManager:
    """Pools for addresses of that scheme. Raises: NetworkError, when certificates or SOCKS are not available."""
    secure = scheme == "https" or (proxy and proxy.scheme == "https")
    context = trust.context() if secure else None  # loading them takes time
    settings: dict[str, Any] = {"num_pools": 8, "maxsize": IDLE, "ssl_context": context}
    if proxy and proxy.socks:
        if not find_spec("socks"):
            hint = f"In luci's checkout, run: {INSTALL_SOCKS}"
            raise NetworkError(f"{proxy} is a SOCKS proxy, which requires PySocks", hint)
        from luci_dl.net.socks import SocksManager

        return SocksManager(proxy.url, proxy.user, proxy.password, **settings)
    if proxy:
        settings |= {"proxy_url": proxy.url, "proxy_headers": proxy.headers, "proxy_ssl_context": context}
    manager = urllib3.ProxyManager(**settings) if proxy else urllib3.PoolManager(**settings)
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


def requested(url: str, headers: Mapping[str, str], status: int | None, seconds: float, reason: str = "") -> Requested:
    """The event of one request, without secrets; of a failed one with the `reason` instead of a status."""
    masked = tuple(name for name in headers if name.lower() not in PUBLIC_HEADERS)
    span = next((value for name, value in headers.items() if name.lower() == "range"), "")
    return Requested("GET", distinct_address(url), span, masked, status, seconds, reason)


def raw_response(response: urllib3.BaseHTTPResponse) -> RawResponse:
    """The response below urllib3, which copies each block."""
    raw = getattr(response.connection, "raw_response", None)
    if not isinstance(raw, RawResponse):
        raise TypeError(f"{response.connection!r} is not from these pools")
    return raw


def release(response: urllib3.BaseHTTPResponse) -> None:
    """Return the connection to its pool if the body is complete or nearly so; else close it."""
    raw = raw_response(response)
    raw.skip_rest()
    if raw.is_complete:
        raw.close()  # only some versions do that themselves
        response.release_conn()
    else:
        response.close()
