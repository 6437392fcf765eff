"""Word of each request, for whoever asked for it: nothing that is secret is in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from luci_dl.errors import LuciError
from luci_dl.events import Emit, Requested
from luci_dl.net.retry import AttemptFailed

_HARMLESS = {"range", "if-range", "accept"}


@contextmanager
def logged(log: Emit | None, url: str, headers: Mapping[str, str]) -> Iterator[Callable[[int], None]]:
    """Tell `log` of the request that the block makes; the block reports the answer's status."""
    began, status, reason = time.monotonic(), None, ""

    def answered(number: int) -> None:
        nonlocal status
        status = number

    try:
        yield answered
    except (AttemptFailed, LuciError) as error:
        reason = str(error)
        raise
    finally:
        if log:
            seconds = time.monotonic() - began
            masked = tuple(name for name in headers if name.lower() not in _HARMLESS)
            asked = next((value for name, value in headers.items() if name.lower() == "range"), "")
            log(Requested("GET", public_address(url), asked, masked, status, seconds, reason))


def public_address(url: str) -> str:
    """The address without credentials, and without a query: that of a signed address is as good as a password."""
    parts = urlsplit(url)
    query = "..." if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
