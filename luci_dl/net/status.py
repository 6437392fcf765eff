"""Error statuses: which may pass, and what the others mean to the user."""

from __future__ import annotations

from luci_dl.errors import LuciError, NetworkError, NotFound, ResolveError

_NOT_TEMPORARY = {501, 505, 511}
_TEMPORARY = {202, 408, 421, 425, 429}
_SIGNED = ("signature", "sig=", "expires", "token", "x-amz-", "x-goog-", "policy=")
TRY_LATER = "The server responds, but cannot serve the file now. Run the command again later."
LOG_IN = "If this network requires a login, open any page in a browser and log in there."
_CREDENTIALS = (
    "If it takes a login or an accepted licence, pass credentials: with --header 'Authorization: ...' for an address, "
    "in HF_TOKEN for the Hub."
)
_MEANINGS = {
    401: ("the server requires authentication", "Check the credentials in the address, or pass them with --header."),
    403: ("the server denies access", _CREDENTIALS),
    404: ("the server has no such file", f"Check the address. {_CREDENTIALS}"),
    410: ("the file was removed from the server", "Look for another address."),
    451: ("the server does not serve the file here, for legal reasons", "Look for another address."),
    511: ("the network requires a login", LOG_IN),
}


def is_temporary(status: int, asked_to_wait: float | None = None) -> bool:
    """Whether the same request may succeed later. At its rate limit GitHub answers 403, with a time to wait."""
    is_limit = status == 403 and bool(asked_to_wait)
    return is_limit or status in _TEMPORARY or (500 <= status < 600 and status not in _NOT_TEMPORARY)


def refusal(url: str, status: int, who: str, reason: str, *, is_page: bool = False) -> LuciError:
    """The error for a status that will not pass.

    Args:
        url: the requested address.
        who: the host that returned the status, when it need not be the host of `url`; else empty.
        reason: the server's own words; may be empty.
        is_page: they are on a web page, perhaps of something else on the way.
    """
    meaning, hint = _MEANINGS.get(status, ("the server does not serve the file", "Check the address."))
    if status in (400, 401, 403, 410) and any(mark in url.partition("?")[2].lower() for mark in _SIGNED):
        hint = "Such an address is valid for a limited time: get a new one from where you found it."
    hint = f"{hint} {LOG_IN}" if is_page and status in (401, 403) else hint
    message = f"{url}: {meaning}" + (f": {who} returned {status}" if who else f" ({status})")
    message += f": {reason}" if reason else ""
    if 400 <= status < 500:
        return (NotFound if status in (404, 410) else ResolveError)(message, hint)
    return NetworkError(message, hint if status in _MEANINGS else "This is not a valid response for a file.")
