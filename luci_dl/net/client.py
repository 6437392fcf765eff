"""One request, from connection to body: the door to urllib3. What it cannot vouch for, it refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from urllib.parse import urlsplit

import urllib3

from luci_dl import __version__
from luci_dl.errors import NetworkError
from luci_dl.events import Emit
from luci_dl.net.answers import Document, RangeRequest, ResponseInfo, body_of, check_type, linked, location_of, refuse
from luci_dl.net.bearer import Tokens, bearing, without_account
from luci_dl.net.connections import head_of, new_manager
from luci_dl.net.log import logged
from luci_dl.net.origin import origin_of
from luci_dl.net.proxy import Proxy, proxy_for
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.translate import refuses_user, translate_errors
from luci_dl.plan import Remote

REDIRECTS = 10
CONNECT_S = 20.0
READ_S = 30.0
"""A read that brings nothing for that long has failed, in seconds."""
MOMENT_S = 0.05
"""What comes is collected for that long, in seconds, before it is handed over: large blocks cost less."""


class Response:
    """An answer whose headers are checked and whose body is to be read. `abort` may come from another thread.

    Attributes:
        remote: what it says of the whole file.
        body: what it announces of its own bytes.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str, remote: Remote, body: ResponseInfo) -> None:
        """`url` is the one that answered, after redirects."""
        self.remote = remote
        self.body = body
        self._url = url
        self._response = response
        self._failure: Exception | None = None
        self._head = head_of(response)

    def read_into(self, memory: memoryview) -> int:
        """Fill `memory` from its beginning with what comes in a moment; wait longer than that for the first byte alone.

        Returns: how many bytes came; 0 at the end, or where the line was cut: hold the sum against what was announced.
        Raises: AttemptFailed, when all that came before was returned.
        """
        if self._failure:
            raise self._failure
        count, until = 0, time.monotonic() + MOMENT_S
        try:
            while count < len(memory) and (came := self._head.read_some(memory[count:])):
                count += came
                if not self._head.comes_more(until - time.monotonic()):
                    break
        except (HTTPException, OSError, ValueError) as error:  # the last, when it was aborted and closed
            self._failure = self._explained(error)
            if not count:
                raise self._failure from error
        return count

    def _explained(self, error: Exception) -> Exception:
        try:
            with translate_errors(self._url, proxy_for(self._url)):
                raise error
        except (AttemptFailed, NetworkError, ValueError) as failure:
            return failure

    def abort(self) -> None:
        """Free a blocked read at once. What it returns then may be anything: end its right to write first."""
        with suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()

    def close(self) -> None:
        """Let go of the connection, which serves again only when the body was read to its end."""
        if self._head.was_read:
            self._head.close()  # of its own accord only in some versions
            self._response.release_conn()
        else:
            self._response.close()


class Client:
    """Connections to servers, straight or through the proxies that the environment names. Any thread may ask.

    Args:
        connect_s: seconds until a connection must stand; read_s: seconds without a byte until a read has failed.
        log: told of each request.
    """

    def __init__(self, connect_s: float = CONNECT_S, read_s: float = READ_S, log: Emit | None = None) -> None:
        self._log = log
        self._timeout = urllib3.Timeout(connect=connect_s, read=read_s)
        self._managers: dict[tuple[str, Proxy | None], urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._tokens = Tokens(lambda url: self.document(url, {}, 1 << 20))

    def get(self, name: str, ask: RangeRequest, headers: Mapping[str, str], repository: str = "") -> Response:
        """Ask, follow redirects, and check what comes against what was asked.

        Args:
            name: of the target; a web page is refused unless it is named like one.
            headers: sent to the host of the first address alone.
            repository: of the artifact; where it asks for a token, it gets one.

        Raises: AttemptFailed, when another attempt may help; IntegrityError; NetworkError; ResolveError.
        """
        url, origin = ask.url, origin_of(ask.url)
        sha256: str | None = None
        size: int | None = None
        for _ in range(REDIRECTS + 1):
            at_home = origin_of(url) == origin
            response = self._request_with_token(url, {**ask.headers(), **(headers if at_home else {})}, repository)
            if at_home and sha256 is None:  # a renamed repository redirects within the Hub first
                sha256, size = linked(response.headers)
            try:
                there = location_of(url, response.status, response.headers)
                if there is None:
                    if repository and at_home and response.status in (401, 403):
                        raise without_account(url, response.status)
                    return self._answer(name, ask, response, url, sha256, size)
            except BaseException:
                response.close()
                raise
            response.close()
            url = there
        raise NetworkError(f"{ask.url} redirects more than {REDIRECTS} times", "The server sends us in circles.")

    def document(self, url: str, headers: Mapping[str, str], at_most: int, repository: str = "") -> Document:
        """Ask, follow redirects, and read the answer whole, whatever its status.

        Args:
            headers: sent to the host of the first address alone.
            at_most: bytes that it may have.
            repository: as in `get`.

        Raises: AttemptFailed, when another attempt may help; NetworkError.
        """
        origin, first = origin_of(url), url
        for _ in range(REDIRECTS + 1):
            response = self._request_with_token(url, headers if origin_of(url) == origin else {}, repository)
            try:
                there = location_of(url, response.status, response.headers)
                if there is None:
                    lowered = {name.lower(): value for name, value in response.headers.items()}
                    return Document(url, response.status, lowered, _whole(url, response, at_most))
            finally:
                response.close()
            url = there
        raise NetworkError(f"{first} redirects more than {REDIRECTS} times", "The server sends us in circles.")

    def _answer(
        self,
        name: str,
        ask: RangeRequest,
        response: urllib3.BaseHTTPResponse,
        url: str,
        sha256: str | None,
        size: int | None,
    ) -> Response:
        if response.status not in (200, 206):
            sent_to = url if origin_of(url) != origin_of(ask.url) else None
            raise refuse(ask, response.status, response.headers, sent_to=sent_to, by=_forwarding(url))
        check_type(name, ask, response.headers)
        body = body_of(ask, response.status, response.headers)
        if size is not None and body.size is not None and size != body.size:
            raise AttemptFailed(f"the Hub speaks of {size} bytes, the server behind it of {body.size}")
        return Response(response, url, Remote(ask.url, body.size or size, body.validator, sha256), body)

    def _request_with_token(self, url: str, headers: Mapping[str, str], repository: str) -> urllib3.BaseHTTPResponse:
        """With the repository's token, a new one where that is refused; the token goes to the registry's host alone."""
        if not repository or origin_of(url) != origin_of(repository):
            return self._request(url, headers)
        token = self._tokens.of(repository)
        response = self._request(url, {**headers, **bearing(token)})
        if response.status != 401:
            return response
        try:
            token = self._tokens.renew(repository, response.headers.getlist("www-authenticate"), token)
        except BaseException:
            response.close()
            raise
        if token is None:
            return response
        response.close()
        return self._request(url, {**headers, **bearing(token)})

    def _request(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        proxy = proxy_for(url)
        with logged(self._log, url, headers) as answered, translate_errors(url, proxy):
            response = self._manager(urlsplit(url).scheme, proxy).request(
                "GET",
                url,
                headers={"User-Agent": f"luci-dl/{__version__}", "Accept-Encoding": "identity", **headers},
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=self._timeout,
            )
            answered(response.status)
        if response.status == 407 and proxy and proxy == _forwarding(url):
            response.close()
            raise refuses_user(proxy, response.headers.get("Proxy-Authenticate", ""))
        return response

    def _manager(self, scheme: str, proxy: Proxy | None) -> urllib3.PoolManager:
        key = scheme, proxy
        with self._lock:
            if key not in self._managers:
                self._managers[key] = new_manager(scheme, proxy)
            return self._managers[key]


def _forwarding(url: str) -> Proxy | None:
    """The proxy that reads what we ask of `url`, and may answer itself: only a plain request by an http proxy."""
    proxy = proxy_for(url) if url.startswith("http:") else None
    return None if proxy and proxy.socks else proxy


def _whole(url: str, response: urllib3.BaseHTTPResponse, at_most: int) -> bytes:
    with translate_errors(url, proxy_for(url)):
        body = response.read(at_most + 1, decode_content=False)
    if len(body) > at_most:
        raise NetworkError(f"{url} answers with more than {at_most >> 20} MiB", "Check the address.")
    return body
