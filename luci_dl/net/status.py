"""Error statuses: which may pass, and what the others mean to the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from luci_dl.errors import NetworkError, ResolveError
from luci_dl.net.hub import hub_refusal
from luci_dl.net.origin import host_of
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed, retry_after_s

if TYPE_CHECKING:
    from luci_dl.net.proxy import Proxy

_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_OVERLOAD = {429, 503}
_EXPIRED = {400, 401, 403, 410}
"""What a host says of a signed address that has expired."""
_MEANINGS = {
    401: ("the server requires authentication", "Check the credentials in the address."),
    403: ("the server denies access", "Do you have to log in or accept a licence there first?"),
    404: ("the server has no such file", "Check the address."),
    410: ("the file was removed from the server", "Look for another address."),
}
TRY_LATER = "The server responds, but cannot serve the file now. Run the command again later."


def is_temporary(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in _TEMPORARY


def error_for_status(
    request: RangeRequest,
    status: int,
    headers: Mapping[str, str],
    *,
    redirected_to: str | None = None,
    through: Proxy | None = None,
) -> Exception:
    """The error that a status other than 200 and 206 stands for.

    Args:
        redirected_to: the address that returned the status, if it is on another host than the requested one. There,
            "no access" means that a signed address has expired, and the next attempt gets a new one.
        through: the proxy that may have returned the status itself; None when none could.
    """
    origin = host_of(request.url)
    who = f"{host_of(redirected_to)} (redirected from {origin})" if redirected_to else origin
    who += f" through {through}" if through else ""
    if is_temporary(status) or (redirected_to and status in _EXPIRED):
        return AttemptFailed(
            f"{who} returned {status}",
            retry_after_s(headers),
            maybe_overload=is_temporary(status),
            overload=status in _OVERLOAD,
            hint=TRY_LATER,
        )
    if status == 416:
        return AttemptFailed(f"{who} refused the requested range (416)", no_ranges=True)
    if refusal := hub_refusal(request.url, status, headers):
        return refusal
    meaning, hint = _MEANINGS.get(status, ("the server does not serve the file", "Check the address."))
    message = f"{request.url}: {meaning}"
    message += f": {who} returned {status}" if redirected_to or through else f" ({status})"
    if 400 <= status < 500:
        return ResolveError(message, hint)
    return NetworkError(message, "This is not a valid response for a file. Check the address.")
