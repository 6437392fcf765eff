"""What the log of requests (`-v`) shows, without secrets."""

from __future__ import annotations

from collections.abc import Mapping

from luci_dl.events import Requested
from luci_dl.text import distinct_address

PUBLIC_HEADERS = {"range", "if-range", "accept"}


def requested(url: str, headers: Mapping[str, str], status: int | None, seconds: float, reason: str = "") -> Requested:
    """The event of one request; of a failed one with the `reason` instead of a status."""
    masked = tuple(name for name in headers if name.lower() not in PUBLIC_HEADERS)
    span = next((value for name, value in headers.items() if name.lower() == "range"), "")
    return Requested("GET", distinct_address(url), span, masked, status, seconds, reason)
