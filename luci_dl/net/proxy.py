"""The proxy on the way to a host, as the environment names it: HTTPS_PROXY, ALL_PROXY, NO_PROXY..."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from luci_dl.errors import NetworkError


@dataclass(frozen=True)
class Proxy:
    """Where a proxy is, without the credentials that stood in its address; those are in `authorization`."""

    url: str
    authorization: str | None

    @property
    def headers(self) -> dict[str, str]:
        """For the proxy alone."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}


def proxy_for(url: str) -> Proxy | None:
    """None when the way is straight. Raises: NetworkError, for a proxy that luci cannot use."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return _parse(proxy if "://" in proxy else f"http://{proxy}")


def _parse(address: str) -> Proxy:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        public = address.rpartition("@")[2] if "@" in address else address
        raise NetworkError(f"the proxy {public} is not an http proxy", "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY.")
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    authorization = "Basic " + base64.b64encode(pair.encode()).decode() if parts.username else None
    return Proxy(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", authorization)
