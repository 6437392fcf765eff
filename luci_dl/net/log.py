"""The log of requests, for `-v`, without secrets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from luci_dl.errors import LuciError
from luci_dl.events import Emit, Requested
from luci_dl.net.retry import AttemptFailed

_PUBLIC_HEADERS = {"range", "if-range", "accept"}


@contextmanager
def logged(log: Emit | None, url: str, headers: Mapping[str, str]) -> Iterator[Callable[[int], None]]:
    """Report the request made in the block to `log`. Yields: a function that takes the status of the response."""
    began, status, reason = time.monotonic(), None, ""

    def set_status(number: int) -> None:
        nonlocal status
        status = number

    try:
        yield set_status
    except (AttemptFailed, LuciError) as error:
        reason = str(error)
        raise
    finally:
        if log:
            seconds = time.monotonic() - began
            masked = tuple(name for name in headers if name.lower() not in _PUBLIC_HEADERS)
            asked = next((value for name, value in headers.items() if name.lower() == "range"), "")
            log(Requested("GET", public_address(url), asked, masked, status, seconds, reason))


def public_address(url: str) -> str:
    """The address without credentials and query: the query of a signed address is as secret as a password."""
    parts = urlsplit(url)
    query = "..." if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
