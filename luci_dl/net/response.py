"""Requests and responses by the rules of HTTP, taken literally: no library in here. `status` has the error statuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

from luci_dl.errors import IntegrityError, NetworkError
from luci_dl.net.origin import host_of
from luci_dl.net.retry import AttemptFailed

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_ETAG_LENGTH = 1024
_PRINTABLE = "".join(map(chr, range(33, 127)))
_BACKSLASH = "\\"


@dataclass(frozen=True)
class RangeRequest:
    """A request for the bytes from `start` up to `end` (None: to the end of the file) of `url`.

    Attributes:
        validator: the ETag that the file must still have; None when unknown.
    """

    url: str
    start: int
    end: int | None
    validator: str | None

    def headers(self) -> dict[str, str]:
        """The headers that select the range; none for the whole file."""
        if self.start == 0 and self.end is None:
            return {}
        last = "" if self.end is None else str(self.end - 1)
        condition = {"If-Range": self.validator} if self.validator else {}
        return {"Range": f"bytes={self.start}-{last}", **condition}


@dataclass(frozen=True)
class ResponseInfo:
    """What the headers of a 200 or 206 response say.

    Attributes:
        offset: where the body begins in the file.
        length: bytes of the body; None when unknown.
        size: bytes of the whole file; None when unknown.
        validator: a strong ETag; None without one.
        delimited: a complete body can be distinguished from a lost connection.
        supports_ranges: the server supports range requests.
    """

    offset: int
    length: int | None
    size: int | None
    validator: str | None
    delimited: bool
    supports_ranges: bool


def response_info(request: RangeRequest, status: int, headers: Mapping[str, str]) -> ResponseInfo:
    """Read the headers of a 200 or 206. Raises: AttemptFailed, when the range is wrong; NetworkError."""
    transfer = headers.get("transfer-encoding", "identity").strip().lower()
    chunked = transfer == "chunked"
    for encoding in (headers.get("content-encoding", "identity").strip().lower(), "identity" if chunked else transfer):
        if encoding not in ("", "identity"):
            raise NetworkError(f"{host_of(request.url)} sent the file {encoding}-encoded, which luci did not request")
    validator = strong_etag(headers.get("etag"))
    length = None if chunked else _length(headers.get("content-length"))
    if status == 200:
        supports_ranges = headers.get("accept-ranges", "").strip().lower() == "bytes"
        return ResponseInfo(0, length, length, validator, chunked or length is not None, supports_ranges)
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if not found:
        raise AttemptFailed("the server sent a range without a valid Content-Range", no_ranges=True)
    first, last, size = (int(number) for number in found.groups())
    wanted = (request.start, (size if request.end is None else request.end) - 1)
    if (first, last) != wanted or not first <= last < size or length not in (None, last - first + 1):
        raise AttemptFailed(
            f"the server sent bytes {first}-{last} of {size}, but {wanted[0]}-{wanted[1]} were requested",
            no_ranges=True,
        )
    return ResponseInfo(first, last - first + 1, size, validator, True, True)


def redirect_target(url: str, status: int, headers: Mapping[str, str]) -> str | None:
    """The address that the response redirects to; None when it is not a redirect.

    Raises: NetworkError, for a redirect that must not be followed.
    """
    if status not in _REDIRECTS:
        return None
    host, location = host_of(url), headers.get("location")
    if not location:
        raise NetworkError(f"{host} sent a redirect without a Location")
    try:
        target = urljoin(url, _readable(location))
        parts = urlsplit(target)
        parts.port  # noqa: B018 - reading it validates it
        target = parts._replace(netloc=_ascii(parts.netloc)).geturl()
    except ValueError as error:
        raise NetworkError(f"{host} redirects to an invalid address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NetworkError(f"{host} redirects to an address that is neither http nor https ({parts.scheme or 'empty'})")
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise NetworkError(
            f"{host} redirects from https to http ({parts.hostname}), where anyone could change the data",
            "Use an address that stays on https. If this network requires a login, log in with a browser first.",
        )
    return target


def _readable(location: str) -> str:
    """The Location as browsers read it: raw bytes and blanks as %XX, slashes for backslashes, no fragment."""
    path, mark, query = location.strip().partition("#")[0].partition("?")
    text = quote(f"{path.replace(_BACKSLASH, '/')}{mark}{query}".encode("latin-1"), safe=_PRINTABLE)
    return re.sub("%(?![0-9A-Fa-f]{2})", "%25", text)


def _ascii(netloc: str) -> str:
    """Host and port with an international name as DNS knows it. Raises: ValueError."""
    credentials, at, place = netloc.rpartition("@")
    if "%" not in place or place.startswith("["):
        return netloc
    name = unquote(place, errors="strict")
    if any(not (char.isalnum() or char in "-._:") for char in name):
        raise ValueError(f"the host {place} has characters that no host has")
    return f"{credentials}{at}{name.encode('idna').decode('ascii')}"


def check_content_type(name: str, request: RangeRequest, headers: Mapping[str, str]) -> None:
    """Refuse a web page (most often a login page) in place of the file `name`.

    Raises: IntegrityError; AttemptFailed, when the beginning of the file was served before: it is worth keeping.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and not name.lower().endswith((".html", ".htm")):
        message = f"{host_of(request.url)} sent a web page instead of {name}"
        if request.start:
            raise AttemptFailed(message)
        raise IntegrityError(
            message,
            "You may have to log in there, or to sign in to this network first. Open the address in a browser.",
        )


def linked_file(headers: Mapping[str, str]) -> tuple[str | None, int | None]:
    """SHA-256 and size that the Hub gives for a file (X-Linked-Etag, X-Linked-Size); None where absent."""
    digest = headers.get("x-linked-etag", "").strip().strip('"').lower()
    return digest if _SHA256.fullmatch(digest) else None, _length(headers.get("x-linked-size"))


def strong_etag(value: str | None) -> str | None:
    """The ETag, if it may be used in If-Range."""
    text = (value or "").strip()
    return text if 2 < len(text) <= _MAX_ETAG_LENGTH and text[0] == text[-1] == '"' and text.isprintable() else None


def _length(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
