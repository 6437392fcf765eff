"""The proxy for an address, from the environment: HTTPS_PROXY, ALL_PROXY, NO_PROXY..."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from luci_dl.environment import variable
from luci_dl.errors import NetworkError
from luci_dl.frozen import frozen

T = TypeVar("T")

_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
INSTALL_SOCKS = 'pip install ".[socks]"'
"""In a checkout. README and `luci help environment` have the same words."""
_SYSTEM = "the system's settings"


@frozen
class Proxy:
    """The address of a proxy, and the setting it comes from. As a string: for messages, without credentials.

    Attributes:
        variable: of the environment, spelt as it is there.
        user, password: decoded; sent only to the proxy.
    """

    scheme: str
    host: str
    port: int
    variable: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.place} ({self.variable})"

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address without credentials."""
        return f"{self.scheme}://{self.place}"

    @property
    def socks(self) -> bool:
        """Whether it is a SOCKS proxy, not an HTTP proxy."""
        return self.scheme.startswith("socks")

    @property
    def headers(self) -> dict[str, str]:
        """Request headers that only the proxy may see."""
        if not self.user:
            return {}
        pair = f"{self.user}:{self.password or ''}"
        return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


class TunnelRefused(Exception):
    """A proxy refused a tunnel to a host.

    Attributes:
        status, reason, headers: of its response, the names in lower case.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = headers


def proxy_for(url: str) -> Proxy | None:
    """The proxy to use for `url`; None for a direct connection. Raises: NetworkError, for an invalid proxy address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if sys.platform == "darwin" and not any(name.lower().endswith("_proxy") for name in os.environ):
        import urllib.request

        address = urllib.request.getproxies().get(parts.scheme)
        if not address or urllib.request.proxy_bypass(host):
            return None
        return _parse(address, _SYSTEM)
    variable = _variable(f"{parts.scheme}_proxy") or _variable("all_proxy")
    if not variable or _is_exempt(host, parts.port or _PORTS[parts.scheme]):
        return None
    return _parse(_value(variable), variable)


def forwarding_proxy_for(url: str) -> Proxy | None:
    """The proxy that sees the request for `url` and may answer it itself: an http proxy, and no tunnel through it."""
    proxy = proxy_for(url) if url.startswith("http:") else None
    return None if proxy and proxy.socks else proxy


def _variable(name: str) -> str | None:
    """The spelling of the variable `name` that is used; None when unset. Lower case wins, even when it is empty."""
    if name in os.environ:
        return name if os.environ[name].strip() else None
    capitals = name.upper()
    if capitals == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ:  # in a CGI script, clients can set it
        return None
    return capitals if os.environ.get(capitals, "").strip() else None


def _value(name: str) -> str:
    """Of a variable that is set. Raises: UsageError, if it is in quotes."""
    return variable(os.environ, name)


def _parse(address: str, variable: str) -> Proxy:
    """Without a scheme, `address` means an http proxy."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        scheme = "socks5h" if parts.scheme == "socks" else parts.scheme  # desktop settings write "socks"
        host, port = parts.hostname, parts.port
        labels = (host or "").rstrip(".").split(".")
        is_name = all(0 < len(label) < 64 for label in labels)
        if not host or not is_name or port == 0 or scheme not in _PORTS or parts.path not in ("", "/") or parts.query:
            raise ValueError
    except ValueError:
        public = address.rpartition("@")[2]
        raise NetworkError(
            f'{variable} is not a proxy address: expected http://HOST:PORT or socks5://HOST:PORT, found "{public}"',
            f"Correct or unset {variable}. In USER:PASSWORD@ before the host, write : / @ # as %3A %2F %40 %23.",
        ) from None
    user, password = (unquote(text) if text else None for text in (parts.username, parts.password))
    return Proxy(scheme, host, port or _PORTS[scheme], variable, user, password)


def _is_exempt(host: str, port: int) -> bool:
    """Whether NO_PROXY lists the host, its domain or its network. An entry with a port is for that port only."""
    variable = _variable("no_proxy")
    entries = re.split(r"[\s,]+", _value(variable).lower()) if variable else []
    name = host.lower().rstrip(".")
    address = _parsed(ipaddress.ip_address, name)
    for pattern, wanted in map(_split_port, filter(None, entries)):
        if wanted not in (None, port):
            continue
        network = _parsed(partial(ipaddress.ip_network, strict=False), pattern)
        if pattern == "*" or (address and network and address in network):
            return True
        suffix = pattern.removeprefix("*").strip(".")
        if not address and suffix and f".{name}".endswith(f".{suffix}"):
            return True
    return False


def _split_port(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry: host, host:port, [address], [address]:port or address."""
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
    else:
        name, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    port = port.removeprefix(":")
    return name, int(port) if port.isascii() and port.isdigit() else None


def _parsed(parse: Callable[[str], T], text: str) -> T | None:
    try:
        return parse(text)
    except ValueError:
        return None
