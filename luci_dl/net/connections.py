"""Connections, and the pools that keep them: straight, or through a proxy. What urllib3 leaves to others, done here."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from email.message import Message
from importlib.util import find_spec

import urllib3
from urllib3 import exceptions as trouble
from urllib3.connection import HTTPConnection, HTTPSConnection

from luci_dl.errors import NetworkError
from luci_dl.net.certificates import trusted_certificates
from luci_dl.net.dial import dial
from luci_dl.net.head import KeepsHead, WholeHead
from luci_dl.net.proxy import Proxy

_POOLS, _KEPT = 8, 16


class TunnelRefused(Exception):
    """A proxy does not let us through to a host.

    Attributes:
        status, reason, headers: of its answer, the names in lower case.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = headers


class _Plain(KeepsHead, HTTPConnection):  # type: ignore[misc]
    def _new_conn(self) -> socket.socket:
        """Every address of the host is tried, and a dead one costs a moment. Raises: what urllib3 has for it."""
        try:
            return dial(self._dns_host, self.port, float(self.timeout or 0), self.socket_options or ())
        except socket.gaierror as error:
            raise trouble.NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise trouble.ConnectTimeoutError(self, "no connection") from error
        except OSError as error:
            raise trouble.NewConnectionError(self, error.strerror or str(error)) from error

    def _tunnel(self) -> None:
        """Ask the proxy for a way to the host. Raises: TunnelRefused; HTTPException; OSError."""
        host = (self._tunnel_host or "").strip("[]")
        if not host.isascii() or not host.isprintable() or " " in host:
            raise trouble.LocationParseError(host)
        place = f"[{host}]:{self._tunnel_port}" if ":" in host else f"{host}:{self._tunnel_port}"
        headers = {**self._tunnel_headers, "Host": place}  # type: ignore[attr-defined]
        lines = [f"CONNECT {place} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))
        answer = self.response_class(self.sock, method="CONNECT")
        try:
            answer.begin()
            if not 200 <= answer.status < 300:
                raise TunnelRefused(answer.status, answer.reason, _joined(answer.headers))
        finally:
            answer.close()


class _Secure(_Plain, HTTPSConnection):  # type: ignore[misc]
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


def new_manager(scheme: str, proxy: Proxy | None) -> urllib3.PoolManager:
    """Pools for addresses of that scheme. Raises: NetworkError, when the certificates or SOCKS cannot be had."""
    secure = scheme == "https" or (proxy and proxy.scheme == "https")
    context = trusted_certificates() if secure else None  # loading them takes its time
    if proxy and proxy.socks:
        if not find_spec("socks"):
            raise NetworkError(f"{proxy} speaks SOCKS, which needs PySocks", 'Run: pip install "luci-dl[socks]"')
        from luci_dl.net.socks import SocksManager

        return SocksManager(proxy.url, proxy.user, proxy.password, num_pools=_POOLS, maxsize=_KEPT, ssl_context=context)
    if proxy:
        manager: urllib3.PoolManager = urllib3.ProxyManager(
            proxy.url,
            _POOLS,
            maxsize=_KEPT,
            proxy_headers=proxy.headers,
            ssl_context=context,
            proxy_ssl_context=context,
        )
    else:
        manager = urllib3.PoolManager(_POOLS, maxsize=_KEPT, ssl_context=context)
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


def head_of(response: urllib3.BaseHTTPResponse) -> WholeHead:
    """The answer as `http.client` has it, below what urllib3 puts on top, which copies each block."""
    head = getattr(response.connection, "head", None)
    if not isinstance(head, WholeHead):
        raise TypeError(f"{response.connection!r} is not of these pools")
    return head


def _joined(headers: Message) -> dict[str, str]:
    return {name.lower(): ", ".join(headers.get_all(name) or []) for name in headers}
