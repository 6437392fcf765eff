"""Who asks: their address, and whether what they are told stays between them and this machine."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from luci_dl.frozen import frozen
from luci_dl.net.origin import is_loopback


@frozen
class Peer:
    """The other end of a connection; behind a proxy on this machine, its client.

    Attributes:
        address: without the port.
        is_local: it is on this machine, and asked for it by a name of this machine: no web page from elsewhere did.
        is_behind_proxy: a proxy on this machine passed the request on.
        is_private: nobody on the way can read what is sent: TLS, or this machine.
    """

    address: str
    is_local: bool
    is_private: bool
    is_behind_proxy: bool = False


def peer_of(request: web.Request) -> Peer:
    """Only a proxy on this machine is believed what it says of its client."""
    address, secure = request.remote or "", request.scheme == "https"
    local = is_loopback(address)
    if local and (forwarded := request.headers.get("X-Forwarded-For")):
        address = forwarded.rpartition(",")[2].strip()
        secure = request.headers.get("X-Forwarded-Proto") == "https"
        return Peer(address, is_local=False, is_private=secure, is_behind_proxy=True)
    host = request.url.host or ""
    return Peer(address, is_local=local and is_loopback(host), is_private=secure or local)


def token_of(request: web.Request) -> str:
    """The client's token for the Hub, if nobody else could read it, nor what comes for it."""
    return bearer(request.headers) if peer_of(request).is_private else ""


def bearer(headers: Mapping[str, str]) -> str:
    """The token in these headers; empty without one."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.casefold() == "bearer" else ""
