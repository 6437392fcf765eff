"""Connections through a SOCKS proxy. The only user of PySocks, which the extra `socks` installs; imported on demand."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import socks
from urllib3.contrib import socks as pools

from luci_dl.errors import NetworkError
from luci_dl.net.proxy import Proxy
from luci_dl.net.raw_response import KeepsRawResponse
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.translate import proxy_auth_error, proxy_refusal

_NOT_ALLOWED = "0x02"


class _Plain(KeepsRawResponse, pools.SOCKSConnection):  # type: ignore[misc]
    pass


class _Secure(KeepsRawResponse, pools.SOCKSHTTPSConnection):  # type: ignore[misc]
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


def translate_socks_error(causes: Iterable[BaseException], host: str, place: str, proxy: Proxy) -> Exception | None:
    """The error of ours for a PySocks error among `causes`; None when there is none.

    Args:
        host, place: the host to reach, without and with its port.
    """
    error = next((cause for cause in causes if isinstance(cause, socks.ProxyError)), None)
    if error is None:
        return None
    while isinstance(error.socket_err, socks.ProxyError):  # PySocks wraps its own errors as socket errors
        error = error.socket_err
    inner = error.socket_err
    if isinstance(inner, socket.gaierror):
        hint = f"Start {proxy.variable} with socks5h:// to let the proxy resolve names."
        return AttemptFailed(f"cannot resolve the name {host}", hint=hint)
    if isinstance(error, socks.SOCKS5AuthError):
        return proxy_auth_error(proxy)
    if isinstance(error, socks.SOCKS5Error | socks.SOCKS4Error):
        code, _, reason = str(error).partition(": ")
        return proxy_refusal(proxy, host, place, reason, permanent=code == _NOT_ALLOWED)
    hint = f"Is {proxy.variable} correct?"
    if isinstance(inner, TimeoutError):
        return AttemptFailed(f"{proxy} did not respond in time", hint=hint)
    if isinstance(error, socks.ProxyConnectionError):
        return AttemptFailed(f"cannot connect to {proxy}: {inner.strerror}", hint=hint)
    if inner or "closed" in str(error):
        return AttemptFailed(f"the connection to {proxy} was lost", hint=hint)
    return NetworkError(f"{proxy} does not speak {proxy.scheme}", hint)
