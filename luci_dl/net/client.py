"""One request, from connection to body: the door to urllib3. What it cannot vouch for, it refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions as trouble
from urllib3.connection import HTTPConnection, HTTPSConnection

from luci_dl import __version__
from luci_dl.errors import NetworkError
from luci_dl.net.answers import Ask, Body, Document, body_of, check_type, linked, location_of, refuse
from luci_dl.net.head import WholeHead
from luci_dl.net.proxy import Proxy, proxy_for
from luci_dl.net.retry import AttemptFailed
from luci_dl.plan import Remote

if TYPE_CHECKING:
    import ssl

REDIRECTS = 10
CONNECT_S = 20.0
READ_S = 30.0
"""A read that brings nothing for that long has failed, in seconds."""
_MOMENT_S = 0.05
_FAST = 20e6
"""Bytes a second from which it pays to collect a large block before it is handed over."""


class Answer:
    """An answer whose headers are checked and whose body is to be read. `abort` may come from another thread.

    Attributes:
        remote: what it says of the whole file.
        body: what it announces of its own bytes.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, remote: Remote, body: Body) -> None:
        self.remote = remote
        self.body = body
        self._response = response
        self._fast = False
        self._measured = 0
        self._since = time.monotonic()
        self._failure: AttemptFailed | None = None
        self._head = _head_of(response)  # read without what urllib3 puts on top: it copies

    def read_into(self, memory: memoryview) -> int:
        """Fill `memory` from its beginning with what comes in a moment: on a slow line that is whatever is there.

        Returns: how many bytes came; 0 at the end, or where the line was cut: hold the sum against what was announced.
        Raises: AttemptFailed, when all that came before was returned.
        """
        if self._failure:
            raise self._failure
        count, until = 0, time.monotonic() + _MOMENT_S
        try:
            while count < len(memory) and (came := self._head.read_some(memory[count:])):
                count += came
                if not self._fast or time.monotonic() >= until:  # or what came would wait for what may not come
                    break
        except (HTTPException, OSError, ValueError) as error:
            self._failure = self._broken(error)
            if not count:
                raise self._failure from error
        self._measure(count)
        return count

    def _measure(self, count: int) -> None:
        self._measured += count
        passed = time.monotonic() - self._since
        if passed >= _MOMENT_S:
            self._fast = self._measured > _FAST * passed
            self._measured, self._since = 0, time.monotonic()

    def _broken(self, error: Exception) -> AttemptFailed:
        host = urlsplit(self.remote.url).hostname or self.remote.url
        if isinstance(error, TimeoutError):
            return AttemptFailed(f"{host} does not answer")
        return AttemptFailed(f"the connection to {host} broke off")

    def abort(self) -> None:
        """Free a blocked read at once. What it returns then may be anything: end its right to write first."""
        with suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()

    def close(self) -> None:
        """Let go of the connection, which serves again only when the body was read to its end."""
        if self._head.length == 0:
            self._head.close()  # of its own accord only in some versions, after `read1`
        if self._head.isclosed():
            self._response.release_conn()
        else:
            self._response.close()


class Client:
    """Connections to servers, straight or through the proxies that the environment names. Any thread may ask.

    Args:
        connect_s: seconds until a connection must stand; read_s: seconds without a byte until a read has failed.
    """

    def __init__(self, connect_s: float = CONNECT_S, read_s: float = READ_S) -> None:
        self._timeout = urllib3.Timeout(connect=connect_s, read=read_s)
        self._managers: dict[tuple[str, Proxy | None], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def get(self, name: str, ask: Ask, headers: Mapping[str, str]) -> Answer:
        """Ask, follow redirects, and check what comes against what was asked.

        Args:
            name: of the target; a web page is refused unless it is named like one.
            headers: sent to the host of the first address alone.

        Raises: AttemptFailed, when another attempt may help; IntegrityError; NetworkError; ResolveError.
        """
        url, origin = ask.url, _origin(ask.url)
        sha256: str | None = None
        size: int | None = None
        for _ in range(REDIRECTS + 1):
            at_home = _origin(url) == origin
            response = self._request(url, {**ask.headers(), **(headers if at_home else {})})
            if at_home and sha256 is None:  # a renamed repository redirects within the Hub first
                sha256, size = linked(response.headers)
            try:
                there = location_of(url, response.status, response.headers)
                if there is None:
                    return self._answer(name, ask, response, not at_home, sha256, size)
            except BaseException:
                response.close()
                raise
            response.close()
            url = there
        raise NetworkError(f"{ask.url} redirects more than {REDIRECTS} times", "The server sends us in circles.")

    def document(self, url: str, headers: Mapping[str, str], at_most: int) -> Document:
        """Ask, follow redirects, and read the answer whole, whatever its status.

        Args:
            headers: sent to the host of the first address alone.
            at_most: bytes that it may have.

        Raises: AttemptFailed, when another attempt may help; NetworkError.
        """
        origin, first = _origin(url), url
        for _ in range(REDIRECTS + 1):
            response = self._request(url, headers if _origin(url) == origin else {})
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
        ask: Ask,
        response: urllib3.BaseHTTPResponse,
        redirected: bool,
        sha256: str | None,
        size: int | None,
    ) -> Answer:
        if response.status not in (200, 206):
            raise refuse(ask, response.status, response.headers, redirected)
        check_type(name, ask, response.headers)
        body = body_of(ask, response.status, response.headers)
        if size is not None and body.size is not None and size != body.size:
            raise AttemptFailed(f"the Hub speaks of {size} bytes, the server behind it of {body.size}")
        return Answer(response, Remote(ask.url, body.size or size, body.validator, sha256), body)

    def _request(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        with _line_trouble(url):
            return self._manager(url).request(
                "GET",
                url,
                headers={"User-Agent": f"luci-dl/{__version__}", "Accept-Encoding": "identity", **headers},
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=self._timeout,
            )

    def _manager(self, url: str) -> urllib3.PoolManager:
        key = urlsplit(url).scheme, proxy_for(url)
        with self._lock:
            if key not in self._managers:
                self._managers[key] = _new_manager(*key)
            return self._managers[key]


class _Headed:
    """A connection that knows the head, and so the body, of the answer that comes over it."""

    def response_class(self, *args: Any, **more: Any) -> WholeHead:
        self.head = WholeHead(*args, **more)
        return self.head


class _Plain(_Headed, HTTPConnection):  # type: ignore[misc]
    pass


class _Secure(_Headed, HTTPSConnection):  # type: ignore[misc]
    pass


def _head_of(response: urllib3.BaseHTTPResponse) -> WholeHead:
    connection = response.connection
    assert isinstance(connection, _Headed)
    return connection.head


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


def _new_manager(scheme: str, proxy: Proxy | None) -> urllib3.PoolManager:
    secure = scheme == "https" or (proxy and proxy.url.startswith("https:"))
    context = _system_certificates() if secure else None  # loading them takes its time
    if proxy is None:
        manager = urllib3.PoolManager(num_pools=8, maxsize=16, ssl_context=context)
    else:
        manager = urllib3.ProxyManager(
            proxy.url,
            num_pools=8,
            maxsize=16,
            proxy_headers=proxy.headers,
            ssl_context=context,
            proxy_ssl_context=context,
        )
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


def _system_certificates() -> ssl.SSLContext:
    """The system's trust store; on macOS it knows nothing of SSL_CERT_FILE, which is loaded beside it."""
    import os
    import ssl

    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    extra = os.environ.get("SSL_CERT_FILE")
    if extra:
        try:
            context.load_verify_locations(extra)
        except OSError as error:
            raise NetworkError(f"SSL_CERT_FILE={extra} cannot be used: {error}", "Correct or unset it.") from error
    return context


def _whole(url: str, response: urllib3.BaseHTTPResponse, at_most: int) -> bytes:
    with _line_trouble(url):
        body = response.read(at_most + 1, decode_content=False)
    if len(body) > at_most:
        raise NetworkError(f"{url} answers with more than {at_most >> 20} MiB", "Check the address.")
    return body


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


@contextmanager
def _line_trouble(url: str) -> Iterator[None]:
    """Raises: AttemptFailed or NetworkError, in place of what urllib3 and http.client raise."""
    host = urlsplit(url).hostname or url
    try:
        yield
    except trouble.NameResolutionError as error:
        raise AttemptFailed(f"the name {host} cannot be looked up") from error
    except trouble.ProxyError as error:
        raise AttemptFailed(f"the proxy for {host} failed: {_words(error.original_error)}") from error
    except trouble.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise NetworkError(
                f"the certificate of {host} cannot be trusted: {_words(error)}",
                "Behind a company's proxy? Add its certificate to the system's, or name it in SSL_CERT_FILE.",
            ) from error
        raise AttemptFailed(f"TLS with {host} failed: {_words(error)}") from error
    except trouble.NewConnectionError as error:  # a TimeoutError too, by urllib3
        raise AttemptFailed(f"no connection to {host}: {_words(error)}") from error
    except trouble.TimeoutError as error:
        raise AttemptFailed(f"{host} does not answer") from error
    except (trouble.ProtocolError, HTTPException) as error:
        cause = error.args[-1] if error.args else error
        if isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected | IncompleteRead):
            raise NetworkError(f"{host} does not speak HTTP", "Check the address.") from error
        raise AttemptFailed(f"the connection to {host} broke off") from error
    except (trouble.LocationValueError, UnicodeError) as error:
        raise NetworkError(f"{url} cannot be asked for: {error}", "Check the address.") from error
    except (trouble.HTTPError, OSError) as error:
        raise AttemptFailed(f"{host}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    """The system's own words, without the names of libraries and objects around them."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(getattr(error, "verify_message", None) or getattr(error, "strerror", None) or error)
