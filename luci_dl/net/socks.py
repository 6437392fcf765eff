"""Connections through a SOCKS proxy: the door to PySocks, which comes with the extra `socks`. Imported only then."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import socks
from urllib3.contrib import socks as pools

from luci_dl.errors import NetworkError
from luci_dl.net.head import KeepsHead
from luci_dl.net.proxy import Proxy
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.translate import no_way, refuses_user

_FORBIDDEN = "0x02"


class _Plain(KeepsHead, pools.SOCKSConnection):  # type: ignore[misc]
    pass


class _Secure(KeepsHead, pools.SOCKSHTTPSConnection):  # type: ignore[misc]
    pass


class _PlainPool(pools.SOCKSHTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(pools.SOCKSHTTPSConnectionPool):
    ConnectionCls = _Secure


class SocksManager(pools.SOCKSProxyManager):
    """Pools of such connections."""

    def __init__(self, url: str, user: str | None, password: str | None, **settings: Any) -> None:
        super().__init__(url, user, password, **settings)
        self.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


def socks_trouble(causes: Iterable[BaseException], host: str, place: str, proxy: Proxy) -> Exception | None:
    """What PySocks means by an error that is among `causes`; None when it is of somebody else."""
    error = next((cause for cause in causes if isinstance(cause, socks.ProxyError)), None)
    if error is None:
        return None
    while isinstance(error.socket_err, socks.ProxyError):  # PySocks takes its own for the socket's
        error = error.socket_err
    inner = error.socket_err
    if isinstance(inner, socket.gaierror):
        hint = f"Let {proxy.variable} begin with socks5h:// to have names looked up by the proxy."
        return AttemptFailed(f"the name {host} cannot be looked up", hint=hint)
    if isinstance(error, socks.SOCKS5AuthError):
        return refuses_user(proxy)
    if isinstance(error, socks.SOCKS5Error | socks.SOCKS4Error):
        code, _, reason = str(error).partition(": ")
        return no_way(proxy, host, place, reason, for_good=code == _FORBIDDEN)
    hint = f"Is {proxy.variable} right?"
    if isinstance(inner, TimeoutError):
        return AttemptFailed(f"{proxy} does not answer", hint=hint)
    if isinstance(error, socks.ProxyConnectionError):
        return AttemptFailed(f"no connection to {proxy}: {inner.strerror}", hint=hint)
    if inner or "closed" in str(error):
        return AttemptFailed(f"the connection to {proxy} broke off", hint=hint)
    return NetworkError(f"{proxy} does not speak {proxy.scheme}", hint)
