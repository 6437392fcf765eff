"""One request, from connection to body. What cannot be verified is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING

import urllib3

from luci_dl.errors import NetworkError, StorageError
from luci_dl.events import Emit
from luci_dl.net.bearer import Tokens, authorization
from luci_dl.net.connections import CONNECT_S, Transport, raw_response, release
from luci_dl.net.file_names import suggested_names
from luci_dl.net.head_start import HeadStart
from luci_dl.net.judge import WITH_BODY, judge
from luci_dl.net.origin import host_of, is_object, origin_of
from luci_dl.net.proxy import forwarding_proxy_for, proxy_for
from luci_dl.net.redirects import Answered, Location, Send, closed_on_error, follow
from luci_dl.net.response import RangeRequest, ResponseInfo
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.situation import Answer, Situation
from luci_dl.net.translate import translate_errors
from luci_dl.net.trust import Trust
from luci_dl.plan import Remote

if TYPE_CHECKING:
    from luci_dl.net.document import Document

COLLECT_S = 0.05
"""What arrives within this time is handed over as one block: large blocks cost less."""
_MAX_TOKEN_BYTES = 1 << 20
_MESSAGE_BYTES = 8192
_MESSAGE_S = 1.0
"""What a server says about an error is read no further, and no longer, than this."""


class Response:
    """A response whose headers were checked and whose body is to be read. Any thread may call `abort`.

    Attributes:
        remote: what it says about the whole file.
        info: what it says about its own body.
        location: where it came from, after redirects.
        round_trip: seconds that connecting to the server took, when that was done; None when a proxy hides that.
    """

    def __init__(
        self, response: urllib3.BaseHTTPResponse, location: Location, remote: Remote, info: ResponseInfo
    ) -> None:
        self.remote = remote
        self.info = info
        self.location = location
        self._response = response
        self._raw = raw_response(response)
        self.round_trip: float | None = getattr(response.connection, "round_trip", None)
        self._failure: Exception | None = None

    @property
    def waited(self) -> float:
        """Seconds that reads have waited for the network so far, while no byte was there."""
        return self._raw.waited

    def read_into(self, memory: memoryview) -> int:
        """Fill `memory` from its beginning. Waits for the first byte, and then only `COLLECT_S` for more.

        Returns: how many bytes came; 0 at the end, and where the connection was lost: compare the total with `info`.
        Raises: AttemptFailed, once all that came before was returned.
        """
        if self._failure:
            raise self._failure
        try:
            return self._raw.read_some(memory, COLLECT_S)
        except (HTTPException, OSError, ValueError) as error:
            self._failure = self._translated(error)
            raise self._failure from error

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, ValueError):  # the file below was closed
            return AttemptFailed("the connection was closed")
        try:
            with translate_errors(self.location.url, proxy_for(self.location.url)):
                raise error
        except (AttemptFailed, NetworkError) as failure:
            return failure

    def abort(self) -> None:
        """Wake a blocked read at once. It returns what came before, or the end."""
        self._raw.abort()

    def close(self) -> None:
        """Release the connection."""
        if self._failure:
            self._response.close()
        else:
            release(self._response)


class Client:
    """Requests files and documents. Thread-safe; its connections are reused.

    Args:
        connect_s: seconds to wait for a connection.
        read_s: seconds without a byte after which a read fails; None for the defaults of `Transport`.
        log: receives each request.
        trust: the certificates.

    Attributes:
        timeout: `read_s`.
    """

    def __init__(
        self,
        connect_s: float = CONNECT_S,
        read_s: float | None = None,
        log: Emit | None = None,
        trust: Trust | None = None,
    ) -> None:
        self.timeout = read_s
        transport = Transport(connect_s, read_s, log, trust or Trust())
        self._transport = transport
        self._tokens = Tokens(lambda url: _read_document(transport.send, url, {}, _MAX_TOKEN_BYTES))
        self._head_starts: dict[tuple[object, ...], HeadStart] = {}

    @contextmanager
    def head_start(self, request: RangeRequest, headers: Mapping[str, str], repository: str) -> Iterator[None]:
        """Send the request now, if the system allows a thread; a `get` of the same in the block takes the response."""
        key = request, *headers.items(), repository
        with suppress(StorageError):
            self._head_starts[key] = HeadStart(partial(self._ask, request, headers, repository, None))
        try:
            yield
        finally:
            if started := self._head_starts.pop(key, None):
                started.close()

    def get(
        self,
        request: RangeRequest,
        situation: Situation,
        headers: Mapping[str, str],
        repository: str = "",
        location: Location | None = None,
    ) -> Response:
        """Send the request, follow redirects, and judge the response.

        Args:
            headers: sent only to the host of the requested address.
            repository: of the artifact; when it requires a token, one is fetched.
            location: of an earlier response to a request for that address: its host is asked without asking the origin.

        Raises: AttemptFailed, when another attempt may succeed; IntegrityError; NetworkError; ResolveError.
        """
        started = None if location else self._head_starts.pop((request, *headers.items(), repository), None)
        response, found = started.take() if started else self._ask(request, headers, repository, location)
        with closed_on_error(response):
            size, sha256 = found.linked.size, found.linked.sha256
            situation = replace(
                situation, size=situation.size or size, provable=situation.provable or sha256 is not None
            )
            info = judge(request, _answer(response, request.url, found.url, bool(repository)), situation)
            if size is not None and info.size is not None and size != info.size:
                raise AttemptFailed(f"the Hub reports {size} bytes, but the server it redirects to {info.size}")
            names = suggested_names(response.headers, found.url if found.url != request.url else None)
            served_by, commit = host_of(found.url), found.linked.commit
            remote = Remote(request.url, info.size or size, info.validator, sha256, names, served_by, commit)
            return Response(response, found, remote, info)

    def _ask(
        self, request: RangeRequest, headers: Mapping[str, str], repository: str, location: Location | None
    ) -> Answered:
        asked = location or Location(request.url)
        return follow(self._sender(repository), asked, request.headers(), headers, request.url)

    def document(self, url: str, headers: Mapping[str, str], at_most: int, repository: str = "") -> Document:
        """Send a request, follow redirects, and read the whole response, whatever its status.

        Args:
            headers: sent only to the host of `url`.
            at_most: bytes that the body may have.
            repository: as in `get`.

        Raises: AttemptFailed, when another attempt may succeed; NetworkError.
        """
        return _read_document(self._sender(repository), url, headers, at_most)

    def _sender(self, repository: str) -> Send:
        return partial(self._send_with_token, repository) if repository else self._transport.send

    def _send_with_token(self, repository: str, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Send the repository's token along, and a new one when it is refused. Only the registry's host gets it."""
        if origin_of(url) != origin_of(repository):
            return self._transport.send(url, headers)
        token = self._tokens.get(repository)
        response = self._transport.send(url, {**headers, **authorization(token)})
        if response.status != 401:
            return response
        with closed_on_error(response):
            token = self._tokens.renew(repository, response.headers.getlist("www-authenticate"), token)
        if token is None:
            return response
        release(response)
        return self._transport.send(url, {**headers, **authorization(token)})


def _answer(response: urllib3.BaseHTTPResponse, requested: str, url: str, repository: bool) -> Answer:
    """The head of the response from `url`; of an error also the words of the server, and who may have sent them."""
    proxy, message, code = None, "", ""
    if response.status not in WITH_BODY:
        from luci_dl.net.server_message import error_code, server_message  # no success needs it

        proxy = forwarding_proxy_for(url)
        memory = memoryview(bytearray(_MESSAGE_BYTES))
        body = bytes(memory[: raw_response(response).read_within(memory, _MESSAGE_S)])
        message = server_message(response.headers, body).removeprefix(f"{response.status} ")
        code = error_code(body)
    redirected = not is_object(requested) and origin_of(url) != origin_of(requested)
    return Answer(
        response.status,
        response.headers,
        host_of(url) if redirected else "",
        str(proxy) if proxy else "",
        repository,
        message,
        code,
    )


def _read_document(send: Send, url: str, headers: Mapping[str, str], at_most: int) -> Document:
    from luci_dl.net.document import document_of  # a file alone does without

    response, found = follow(send, Location(url), {}, headers, url)
    url = found.url
    raw, fields = raw_response(response), {name.lower(): response.headers[name] for name in response.headers}
    try:
        with translate_errors(url, proxy_for(url)):
            body = raw.read_all(at_most + 1)
    finally:
        response.close()
    return document_of(url, response.status, fields, body, at_most, is_delimited=raw.is_delimited)
