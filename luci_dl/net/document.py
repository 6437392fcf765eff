"""Small responses: what hubs and registries say about their files, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from luci_dl.errors import NetworkError
from luci_dl.net.coding import decoded
from luci_dl.net.origin import host_of
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.server_message import server_message
from luci_dl.net.status import LOG_IN
from luci_dl.text import public_address

_WEB_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.{0,500}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_JSON_STARTS = (b"{", b"[")
_NOT_FOUND = {404, 410}
"""A server says this with a page of its own, too."""


@dataclass(frozen=True)
class Document:
    """A small response of any status, read completely.

    Attributes:
        url: where it came from, after redirects.
        headers: by lower-case name.
        body: decoded.
    """

    url: str = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> object:
        """Raises: NetworkError, when the body is not JSON."""
        self.refuse_web_page()
        try:
            return _parsed(self.body)
        except ValueError as error:
            coding = self.headers.get("content-encoding", "")
            raise NetworkError(
                f"{public_address(self.url)} returned {self.status} with a body that is not JSON"
                + (f" (Content-Encoding: {coding[:40]!r})" if coding else ""),
                "Check the address, or try later.",
            ) from error

    @property
    def reason(self) -> str:
        """The server's own explanation of an error, in quotes after a comma; "" when it gives none."""
        message = server_message(self.headers, self.body)
        return f', "{message}"' if message else ""

    def refuse_web_page(self) -> None:
        """Raises: NetworkError, when a page for people came: a network's login, a filter's notice."""
        if not self._is_web_page or self.status in _NOT_FOUND:
            return
        raise NetworkError(
            f"{public_address(self.url)} returned a web page ({self.status}{self.reason}) instead of data",
            f"{LOG_IN} Otherwise a filter or a proxy may block the server, or its address may be wrong.",
        )

    @property
    def _is_web_page(self) -> bool:
        is_named_so = "html" in self.headers.get("content-type", "").lower()
        return bool(_WEB_PAGE.match(self.body) or (is_named_so and self.body.strip()[:1] not in (b"", *_JSON_STARTS)))


def document_of(
    url: str, status: int, headers: Mapping[str, str], body: bytes, at_most: int, *, is_delimited: bool
) -> Document:
    """The document of a response, decoded.

    Args:
        at_most: bytes that it may have.
        is_delimited: a complete body can be distinguished from a lost connection.

    Raises: NetworkError, when it is longer; AttemptFailed, when it was cut.
    """
    with suppress(ValueError):  # a body without the coding that its header names is usually plain
        body = decoded(headers, body, at_most + 1)
    if len(body) > at_most:
        raise NetworkError(f"{public_address(url)} returned more than {at_most >> 20} MiB", "Check the address.")
    document = Document(url, status, headers, body)
    if status == 200 and not is_delimited and _is_cut(body):
        raise AttemptFailed(f"the connection to {host_of(url)} was lost")
    return document


def _is_cut(body: bytes) -> bool:
    """Whether it begins like JSON, but does not end so."""
    if body.strip()[:1] not in (b"", *_JSON_STARTS):
        return False
    try:
        _parsed(body)
    except ValueError:
        return True
    return False


def _parsed(body: bytes) -> object:
    """Raises: ValueError, when it is not JSON."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
