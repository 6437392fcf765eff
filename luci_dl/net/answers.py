"""What the status and headers of an answer mean, taken literally. No library in here, only the rules of HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from luci_dl.errors import IntegrityError, NetworkError, ResolveError
from luci_dl.net.hub import hub_refusal
from luci_dl.net.retry import AttemptFailed, parse_retry_after

if TYPE_CHECKING:
    from luci_dl.net.proxy import Proxy

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_BUSY = {429, 503}
_REDIRECTS = {301, 302, 303, 307, 308}
_EXPIRED = {400, 401, 403, 410}
_LONGEST_ETAG = 1024
TRY_LATER = "The server is there, but does not serve it now: run the command again later."
_MEANINGS = {
    401: ("the server asks who you are", "Check the credentials in the address."),
    403: ("the server refuses access", "Do you have to log in or accept a licence there first?"),
    404: ("the server has no such file", "Check the address."),
    410: ("the file is gone from the server", "Look for another address."),
}


@dataclass(frozen=True)
class RangeRequest:
    """What was asked for: the bytes from `start` up to `end` (None: to the end of the file), from `url`."""

    url: str
    start: int
    end: int | None
    validator: str | None

    def headers(self) -> dict[str, str]:
        """The request headers that ask for it; none for a whole file."""
        if self.start == 0 and self.end is None:
            return {}
        last = "" if self.end is None else str(self.end - 1)
        condition = {"If-Range": self.validator} if self.validator else {}
        return {"Range": f"bytes={self.start}-{last}", **condition}


@dataclass(frozen=True)
class ResponseInfo:
    """What an answer announces.

    Attributes:
        offset: where the body begins in the file.
        length: its bytes; None when the server does not say.
        size: bytes of the whole file; None when the server does not say.
        validator: a strong ETag, None without one.
        delimited: whether the end of the body can be told from a cut line.
        ranges: whether the server serves ranges.
    """

    offset: int
    length: int | None
    size: int | None
    validator: str | None
    delimited: bool
    ranges: bool


@dataclass(frozen=True)
class Document:
    """An answer of any status.

    Attributes:
        url: where it came from, after redirects.
        headers: by lower-case name.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """Raises: NetworkError, when it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise NetworkError(
                f"{self.url} answers {self.status} with something that is not JSON", "Check the address, or try later."
            ) from error


def body_of(ask: RangeRequest, status: int, headers: Mapping[str, str]) -> ResponseInfo:
    """What the body of a 200 or 206 is. Raises: AttemptFailed; NetworkError; ResolveError."""
    transfer = headers.get("transfer-encoding", "identity").strip().lower()
    chunked = transfer == "chunked"
    for coding in (headers.get("content-encoding", "identity").strip().lower(), "identity" if chunked else transfer):
        if coding not in ("", "identity"):
            raise NetworkError(f"{place_of(ask.url)} sends the file {coding}-coded, which was not asked for")
    validator = strong_etag(headers.get("etag"))
    length = None if chunked else _length(headers.get("content-length"))
    if status == 200:
        ranges = headers.get("accept-ranges", "").strip().lower() == "bytes"
        return ResponseInfo(0, length, length, validator, chunked or length is not None, ranges)
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if not found:
        raise AttemptFailed("the server sent a range without saying which", no_ranges=True)
    first, last, size = (int(number) for number in found.groups())
    wanted = (ask.start, (size if ask.end is None else ask.end) - 1)
    if (first, last) != wanted or not first <= last < size or length not in (None, last - first + 1):
        raise AttemptFailed(
            f"the server sent bytes {first}-{last} of {size} where {wanted[0]}-{wanted[1]} were asked", no_ranges=True
        )
    return ResponseInfo(first, last - first + 1, size, validator, True, True)


def refuse(
    ask: RangeRequest, status: int, headers: Mapping[str, str], *, sent_to: str | None = None, by: Proxy | None = None
) -> Exception:
    """The error that any other status stands for.

    Args:
        sent_to: the address that answered so, if it is of another host, to which the asked one had sent us; there, "no
            access" means that the signed address has expired, and the next attempt gets a new one.
        by: the proxy that brought the answer, and may have given it itself; None when none could.
    """
    who = f"{place_of(sent_to)}, where {place_of(ask.url)} sent us," if sent_to else place_of(ask.url)
    who += f" through {by}" if by else ""
    if status in _RETRIED or (sent_to and status in _EXPIRED):
        return AttemptFailed(
            f"{who} answered {status}",
            retry_after(headers),
            crowded=status in _RETRIED,
            busy=status in _BUSY,
            hint=TRY_LATER,
        )
    if status == 416:
        return AttemptFailed(f"{who} has no such range", no_ranges=True)
    if refusal := hub_refusal(ask.url, status, headers):
        return refusal
    meaning, hint = _MEANINGS.get(status, ("the server does not give the file", "Check the address."))
    message = f"{ask.url}: {meaning}" + (f": {who} answered {status}" if sent_to or by else f" ({status})")
    if 400 <= status < 500:
        return ResolveError(message, hint)
    return NetworkError(message, "This is not how a file is served; check the address.")


def is_passing(status: int) -> bool:
    """True for a status that may be another one a little later."""
    return status in _RETRIED


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asks to wait; None when it does not."""
    return parse_retry_after(headers.get("retry-after"))


def location_of(url: str, status: int, headers: Mapping[str, str]) -> str | None:
    """Where the answer redirects to; None when it does not.

    Raises: NetworkError, for a way that must not be gone.
    """
    if status not in _REDIRECTS:
        return None
    location = headers.get("location")
    if not location:
        raise NetworkError(f"{place_of(url)} redirects without saying where to")
    try:
        there = urljoin(url, location)
        parts = urlsplit(there)
        parts.port  # noqa: B018 - it is checked when it is asked for
    except ValueError as error:
        raise NetworkError(f"{place_of(url)} redirects to what is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NetworkError(f"{place_of(url)} redirects to {parts.scheme or 'nowhere'}, which is not the web")
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise NetworkError(
            f"{place_of(url)} redirects from https to http ({parts.hostname}), where anybody could change the bytes",
            "Give an address that stays on https.",
        )
    return there


def check_type(name: str, ask: RangeRequest, headers: Mapping[str, str]) -> None:
    """Refuse a web page in place of the file `name`: a login, most often.

    Raises: IntegrityError; AttemptFailed, when the file itself was there before: what came of it is worth keeping.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and not name.lower().endswith((".html", ".htm")):
        what = f"{place_of(ask.url)} sent a web page instead of {name}"
        if ask.start:
            raise AttemptFailed(what)
        raise IntegrityError(
            what,
            "It may ask you to log in, or the network here may want you to sign in first: open it in a browser.",
        )


def linked(headers: Mapping[str, str]) -> tuple[str | None, int | None]:
    """SHA-256 and size of the file by the Hub's own word (X-Linked-Etag, X-Linked-Size); None where it gives none."""
    digest = headers.get("x-linked-etag", "").strip().strip('"').lower()
    return digest if _HEX64.fullmatch(digest) else None, _length(headers.get("x-linked-size"))


def place_of(url: str) -> str:
    """Its host, with the port if it names one; no credentials."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def strong_etag(value: str | None) -> str | None:
    """The ETag, if it is one that If-Range may name."""
    text = (value or "").strip()
    return text if 2 < len(text) <= _LONGEST_ETAG and text[0] == text[-1] == '"' and text.isprintable() else None


def _length(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
