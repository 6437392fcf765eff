"""Small responses: what hubs and registries say about their files, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field

from luci_dl.errors import NetworkError
from luci_dl.formats.texts import MAX_TEXT, Text, recognised
from luci_dl.frozen import frozen
from luci_dl.net.coding import decoded
from luci_dl.net.origin import host_of
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.status import LOG_IN

_JSON_STARTS = (b"{", b"[")
_NOT_FOUND = {404, 410}
"""A server says this with a page of its own, too."""
_ANOTHER_ANSWERED = f"{LOG_IN} Otherwise a filter or a proxy may block the server, or its address may be wrong."
_LAST_TOKEN = 5
"""JSON that was cut ends in an error less than this many characters before its end."""


@frozen
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

    @property
    def is_success(self) -> bool:
        """True for a status with the requested content; a proxy that changed something makes 203 of 200."""
        return 200 <= self.status < 300

    def json(self) -> object:
        """Raises: NetworkError, when the body is not JSON."""
        self.refuse_web_page()
        try:
            return _parsed(self.body)
        except ValueError as error:
            coding = self.headers.get("content-encoding", "")
            found = "a body that is not JSON" if self.body.strip() else "an empty body"
            raise NetworkError(
                f"{self.url} returned {self.status} with {found}"
                + (f" (Content-Encoding: {coding[:40]!r})" if coding else self.reason),
                _ANOTHER_ANSWERED,
            ) from error

    @property
    def reason(self) -> str:
        """The server's own explanation of an error, in quotes after a comma; "" when it gives none."""
        from luci_dl.net.server_message import server_message  # no success needs it

        message = server_message(self.headers, self.body)
        return f', "{message}"' if message else ""

    def refuse_web_page(self) -> None:
        """Raises: NetworkError, when a page for people came: a network's login, a filter's notice."""
        if not self._is_web_page or self.status in _NOT_FOUND:
            return
        raise web_page(self.url, f" ({self.status}{self.reason}) instead of data")

    @property
    def _is_web_page(self) -> bool:
        is_named_so = "html" in self.headers.get("content-type", "").lower()
        is_text = is_named_so and self.body.strip()[:1] not in (b"", *_JSON_STARTS)
        return is_text or recognised(self.body[:MAX_TEXT]) is Text.PAGE


def web_page(url: str, details: str) -> NetworkError:
    """The error for a page that came in place of what was requested."""
    return NetworkError(f"{url} returned a web page{details}", _ANOTHER_ANSWERED)


def document_of(
    url: str, status: int, headers: Mapping[str, str], body: bytes, at_most: int, *, is_delimited: bool
) -> Document:
    """The document of a response, decoded.

    Args:
        at_most: bytes that it may have.
        is_delimited: a complete body can be distinguished from a lost connection.

    Raises: NetworkError, when it is longer; AttemptFailed, when it was cut.
    """
    is_empty = is_delimited and not body.strip()
    with suppress(ValueError):  # a body without the coding that its header names is usually plain
        body = decoded(headers, body, at_most + 1)
    if len(body) > at_most:
        raise NetworkError(f"{url} returned more than {at_most >> 20} MiB", "Check the address.")
    document = Document(url, status, headers, body)
    if document.is_success and (_is_cut(body) if body.strip() else not is_empty):
        host = host_of(url)
        lost = f"the connection to {host} was lost"
        raise AttemptFailed(f"{host} sent only a part of its response" if is_delimited else lost)
    return document


def _is_cut(body: bytes) -> bool:
    """Whether it is JSON up to its end, but more must follow."""
    if body.strip()[:1] not in _JSON_STARTS:
        return False
    try:
        _parsed(body)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated") or len(error.doc.rstrip()) - error.pos < _LAST_TOKEN
    except UnicodeDecodeError as error:
        return error.end == len(error.object)
    except ValueError:
        return False
    return False


def _parsed(body: bytes) -> object:
    """Raises: ValueError, when it is not JSON."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
