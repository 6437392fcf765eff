"""Whom an address names: its origin, and whether that is this very machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

Origin = tuple[str, str | None, int]


def origin_of(url: str) -> Origin:
    """Scheme, host and port of an http(s) address."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def is_loopback(host: str) -> bool:
    """True for a name or address that never leaves this machine."""
    host = host.strip("[]").rstrip(".").lower()
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
