"""Follows redirects, and remembers where they led: a signed address serves until it is refused.

The address of an object in a bucket leads to a signed one, without a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field

import urllib3

from luci_dl.errors import NetworkError
from luci_dl.frozen import frozen
from luci_dl.net.connections import release
from luci_dl.net.origin import is_object, origin_of
from luci_dl.net.response import LinkedFile, linked_file, redirect_target

MAX_REDIRECTS = 10

Send = Callable[[str, Mapping[str, str]], urllib3.BaseHTTPResponse]
"""Sends a request with these headers to this address."""


@frozen
class Location:
    """Where a file is, and what the origin says about it.

    Attributes:
        url: the address after redirects.
        linked: what the Hub says about the file.
    """

    url: str = field(repr=False)
    linked: LinkedFile = LinkedFile()


Answered = tuple[urllib3.BaseHTTPResponse, Location]
"""A response, and where it came from."""


def follow(
    send: Send, location: Location, headers: Mapping[str, str], private_headers: Mapping[str, str], origin: str
) -> Answered:
    """Request what is at the location, and follow redirects.

    Args:
        private_headers: sent only to the host of the address `origin`.

    Returns: the last response, and where it came from. Raises: AttemptFailed; NetworkError; of an object also
        ResolveError and UsageError.
    """
    url, linked = location.url, location.linked
    if is_object(url):
        from luci_dl.net.objects import signed  # loads obstore

        url = signed(url)
    for _ in range(MAX_REDIRECTS + 1):
        at_origin = origin_of(url) == origin_of(origin)
        response = send(url, {**headers, **(private_headers if at_origin else {})})
        with closed_on_error(response):
            if at_origin and linked.sha256 is None:  # the Hub first redirects a renamed repository to itself
                linked = linked_file(response.headers)
            may_lead_on = not is_object(origin) or "location" in response.headers  # S3 has another region in mind else
            target = redirect_target(url, response.status, response.headers) if may_lead_on else None
        if target is None:
            return response, Location(url, linked)
        release(response)
        url = target
    raise NetworkError(
        f"{origin}: redirect loop (more than {MAX_REDIRECTS} redirects)", "Check the address, or try again later."
    )


@contextmanager
def closed_on_error(response: urllib3.BaseHTTPResponse) -> Iterator[None]:
    """Close the response when the block fails."""
    try:
        yield
    except BaseException:
        response.close()
        raise
