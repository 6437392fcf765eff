"""What the log of requests (`-v`) shows, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from luci_dl.events import Requested

_PUBLIC_HEADERS = {"range", "if-range", "accept"}


def requested(url: str, headers: Mapping[str, str], status: int | None, seconds: float, reason: str = "") -> Requested:
    """The event of one request; of a failed one with the `reason` instead of a status."""
    masked = tuple(name for name in headers if name.lower() not in _PUBLIC_HEADERS)
    span = next((value for name, value in headers.items() if name.lower() == "range"), "")
    return Requested("GET", public_address(url), span, masked, status, seconds, reason)


def public_address(url: str) -> str:
    """The address without credentials and query: the query of a signed address is as secret as a password."""
    parts = urlsplit(url)
    query = "..." if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
