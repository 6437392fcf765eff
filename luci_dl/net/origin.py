"""The host of an address, its origin, and whether its responses can be trusted not to be changed on the way."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

Origin = tuple[str, str | None, int]


def origin_of(url: str) -> Origin:
    """Scheme, host and port of an http(s) address; of an object its bucket is the host."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443, "s3": 0}[parts.scheme]


def is_object(url: str) -> bool:
    """Whether the address is that of an object in a bucket: it is read at another one, which is signed."""
    return url.startswith("s3://")


def host_of(url: str) -> str:
    """The host of an address for messages: with its port, without credentials. Of an object its bucket, s3://BUCKET."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return f"s3://{host}" if is_object(url) else host or url


def is_loopback(host: str) -> bool:
    """Whether the name or IP address never leaves this machine."""
    host = host.strip("[]").rstrip(".").lower()
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_safe(url: str, http_hosts: Collection[str]) -> bool:
    """Whether responses cannot be changed on the way: https, this machine, or a trusted host, with or without port.

    Of an object, its source judges the address that it is read at.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    trusted = not {host, parts.netloc.lower()}.isdisjoint(http_hosts)
    return parts.scheme in ("https", "s3") or is_loopback(host) or trusted
