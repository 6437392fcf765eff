"""The proxy on the way to a host, as the environment names it: HTTPS_PROXY, ALL_PROXY, NO_PROXY..."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import sys
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from luci_dl.errors import NetworkError

_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_SYSTEM = "the system's settings"


@dataclass(frozen=True)
class Proxy:
    """Where a proxy is, and who says so. As a string: for messages, without the credentials.

    Attributes:
        variable: of the environment, spelt as it is there.
        user, password: decoded, for the proxy alone.
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
        """Without the credentials."""
        return f"{self.scheme}://{self.place}"

    @property
    def socks(self) -> bool:
        """Whether it speaks SOCKS instead of HTTP."""
        return self.scheme.startswith("socks")

    @property
    def headers(self) -> dict[str, str]:
        """For the proxy alone."""
        if not self.user:
            return {}
        pair = f"{self.user}:{self.password or ''}"
        return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def proxy_for(url: str) -> Proxy | None:
    """None when the way is straight. Raises: NetworkError, for a proxy that luci cannot use."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if sys.platform == "darwin" and not any(name.lower().endswith("_proxy") for name in os.environ):
        import urllib.request

        address = urllib.request.getproxies().get(parts.scheme)
        if not address or urllib.request.proxy_bypass(host):
            return None
        return _parse(address, _SYSTEM)
    variable = _set_one(f"{parts.scheme}_proxy") or _set_one("all_proxy")
    if not variable or _is_exempt(host, parts.port or _PORTS[parts.scheme]):
        return None
    return _parse(os.environ[variable].strip(), variable)


def _set_one(name: str) -> str | None:
    """The spelling of the variable `name` that counts, None when it is not set. Small letters win, if empty too."""
    if name in os.environ:
        return name if os.environ[name].strip() else None
    capitals = name.upper()
    if capitals == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ:  # a CGI's environment: set by whoever asks it
        return None
    return capitals if os.environ.get(capitals, "").strip() else None


def _parse(address: str, variable: str) -> Proxy:
    """`address` without a scheme is an http proxy's."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        scheme = "socks5h" if parts.scheme == "socks" else parts.scheme  # what desktops write
        host, port = parts.hostname, parts.port
        if not host or port == 0 or scheme not in _PORTS or parts.path not in ("", "/") or parts.query:
            raise ValueError
    except ValueError:
        public = address.rpartition("@")[2]
        raise NetworkError(
            f'{variable} names no proxy: expected http://HOST:PORT or socks5://HOST:PORT, found "{public}"',
            f"Correct or unset {variable}. In USER:PASSWORD@ before the host write : / @ # as %3A %2F %40 %23.",
        ) from None
    user, password = (unquote(text) if text else None for text in (parts.username, parts.password))
    return Proxy(scheme, host, port or _PORTS[scheme], variable, user, password)


def _is_exempt(host: str, port: int) -> bool:
    """Whether NO_PROXY names the host, its domain or its network; a port there stands for that port alone."""
    variable = _set_one("no_proxy")
    entries = re.split(r"[\s,]+", os.environ[variable].lower()) if variable else []
    name = host.lower().rstrip(".")
    address = _address(name)
    for pattern, wanted in map(_split_port, filter(None, entries)):
        if wanted not in (None, port):
            continue
        if pattern == "*" or (address and address in _network(pattern)):
            return True
        suffix = pattern.removeprefix("*").strip(".")
        if not address and suffix and f".{name}".endswith(f".{suffix}"):
            return True
    return False


def _split_port(entry: str) -> tuple[str, int | None]:
    """What NO_PROXY means by host, host:port, [address], [address]:port and address."""
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
    else:
        name, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    port = port.removeprefix(":")
    return name, int(port) if port.isascii() and port.isdigit() else None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _network(pattern: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | tuple[()]:
    try:
        return ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return ()
