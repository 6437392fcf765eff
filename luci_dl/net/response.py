"""Requests and responses by the rules of HTTP, taken literally: no library in here. `status` has the error statuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import quote, unquote, urljoin, urlsplit

from luci_dl.errors import NetworkError
from luci_dl.frozen import frozen
from luci_dl.net.origin import host_of
from luci_dl.net.status import LOG_IN

_CONTENT_RANGE = re.compile(r"bytes[ =]+(\d{1,18}) *- *(\d{1,18}) */ *(\d{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED_RANGE = re.compile(r"bytes[ =]+\* */ *(\d{1,18})", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_ETAG_LENGTH = 1024
_PRINTABLE = "".join(map(chr, range(33, 127)))
_BACKSLASH = "\\"


@frozen
class RangeRequest:
    """A request for the bytes from `start` up to `end` (None: to the end of the file) of `url`.

    Attributes:
        validator: the ETag that the file must still have; None when unknown.
        plain: name no range, though some servers send very large files only by range.
    """

    url: str = field(repr=False)
    start: int
    end: int | None
    validator: str | None = None
    plain: bool = False

    @property
    def is_whole(self) -> bool:
        """True for the whole file."""
        return self.start == 0 and self.end is None

    def headers(self) -> dict[str, str]:
        """The headers that select the range; none in a plain request."""
        if self.plain:
            return {}
        last = "" if self.end is None else str(self.end - 1)
        condition = {"If-Range": self.validator} if self.validator else {}
        return {"Range": f"bytes={self.start}-{last}", **condition}


@frozen
class ResponseInfo:
    """What a response brings, as far as it is believed.

    Attributes:
        offset: where the body begins in the file.
        length: bytes of the body; None when unknown.
        size: bytes of the whole file; None when unknown.
        validator: a strong ETag; None without one.
        delimited: a complete body can be distinguished from a lost connection.
        supports_ranges: the server supports range requests.
        is_range: the body may be less than was requested; the rest takes another request.
    """

    offset: int
    length: int | None
    size: int | None
    validator: str | None
    delimited: bool
    supports_ranges: bool
    is_range: bool = False


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
    except ValueError:
        raise NetworkError(f"{host} redirects to an invalid address") from None  # the reason may quote a password
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NetworkError(f"{host} redirects to an address that is neither http nor https ({parts.scheme or 'empty'})")
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise NetworkError(
            f"{host} redirects from https to http ({parts.hostname}), where anyone could change the data",
            f"Use an address that stays on https. {LOG_IN}",
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


@frozen
class LinkedFile:
    """What the Hub says about a file: SHA-256 (None if absent), size in bytes (None), and its commit (empty)."""

    sha256: str | None = None
    size: int | None = None
    commit: str = ""


def linked_file(headers: Mapping[str, str]) -> LinkedFile:
    """From the fields X-Linked-Etag, X-Linked-Size and X-Repo-Commit."""
    digest = headers.get("x-linked-etag", "").strip().strip('"').lower()
    commit = headers.get("x-repo-commit", "").strip().lower()
    return LinkedFile(
        digest if _SHA256.fullmatch(digest) else None,
        content_length(headers.get("x-linked-size")),
        commit if _COMMIT.fullmatch(commit) else "",
    )


def strong_etag(value: str | None) -> str | None:
    """The ETag, if it may be used in If-Range."""
    text = (value or "").strip()
    return text if 2 < len(text) <= _MAX_ETAG_LENGTH and text[0] == text[-1] == '"' and text.isprintable() else None


def content_length(value: str | None) -> int | None:
    """Content-Length, also where it was sent several times with the same value; None when missing or invalid."""
    texts = {text.strip() for text in (value or "").split(",")}
    text = texts.pop()
    return int(text) if not texts and text.isascii() and text.isdigit() and len(text) <= 18 else None


def size_without_range(value: str | None) -> int | None:
    """The file's size in the Content-Range of a 416; None when it is missing or invalid."""
    found = _UNSATISFIED_RANGE.fullmatch((value or "").strip())
    return int(found[1]) if found else None


def content_range(value: str | None) -> tuple[int, int, int | None] | None:
    """First byte, the byte after the last one, and size (None: `*`) of Content-Range; None when it makes no sense."""
    found = _CONTENT_RANGE.fullmatch((value or "").strip())
    if not found:
        return None
    start, end, size = int(found[1]), int(found[2]) + 1, None if found[3] == "*" else int(found[3])
    return (start, end, size) if start < end <= (end if size is None else size) else None
