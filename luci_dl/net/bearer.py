"""Tokens of registries: what a Bearer challenge asks for, fetched anonymously, once for all connections."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from luci_dl.errors import NetworkError, ResolveError
from luci_dl.net.origin import is_loopback
from luci_dl.net.retry import AttemptFailed, Remedy, retry_after_s
from luci_dl.net.status import is_temporary

if TYPE_CHECKING:
    from luci_dl.net.document import Document

_PIECE = re.compile(
    r"""[\s,;]*(?P<name>[^\s,;="]+)(?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,;"]*)))?(?=[\s,;]|$)"""
)
"""Of a WWW-Authenticate header: a scheme, or a parameter with its value. Not all servers quote as they should."""
_Challenge = tuple[str, list[tuple[str, str]]]
"""A scheme and its parameters, by names in lower case."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*")


class Tokens:
    """The token of each repository. A repository is the address that all its files begin with. Thread-safe.

    Args:
        fetch: requests a small document of any status.
    """

    def __init__(self, fetch: Callable[[str], Document]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._exchanges: dict[str, Future[str | None]] = {}  # the latest of each repository

    def get(self, repository: str) -> str | None:
        """The token to try; None while there is none."""
        exchange = self._exchanges.get(repository)
        return exchange.result() if exchange and _has_succeeded(exchange) else None

    def renew(self, repository: str, challenges: Sequence[str], refused: str | None) -> str | None:
        """Get another token than the `refused` one (None: there was none). Waits while another thread fetches it.

        Args:
            challenges: the WWW-Authenticate headers of the registry's refusal.

        Returns: None when the registry gives no anonymous token.
        Raises: AttemptFailed, when another attempt may succeed; NetworkError.
        """
        with self._lock:
            exchange = self._exchanges.get(repository)
            is_mine = exchange is None or (
                exchange.done() and (not _has_succeeded(exchange) or exchange.result() == refused)
            )
            if exchange is None or is_mine:
                exchange = self._exchanges[repository] = Future()
        if is_mine:
            try:
                exchange.set_result(self._exchange(repository, challenges))
            except BaseException as error:  # noqa: BLE001 - raised below, here and in every thread that waits
                exchange.set_exception(error)
        return exchange.result()

    def _exchange(self, repository: str, challenges: Sequence[str]) -> str | None:
        bearers = [found for line in challenges for scheme, found in _challenges(line) if scheme == "bearer"]
        if not bearers:
            return None  # it wants a password, or does not say what it wants
        document = self._fetch(_token_address(repository, next(filter(None, bearers), [])))
        host = urlsplit(document.url).netloc
        document.refuse_web_page()
        asked_to_wait = retry_after_s(document.headers)
        if is_temporary(document.status, asked_to_wait):
            reason = f"the token server {host} returned {document.status}{document.reason}"
            raise AttemptFailed(reason, asked_to_wait, remedy=Remedy.FEWER)
        if document.status in (401, 403):
            return None
        if not document.is_success:
            raise NetworkError(
                f"the token server {host} returned {document.status}{document.reason} instead of a token",
                "Try again later.",
            )
        return _token_in(document)


def authorization(token: str | None) -> dict[str, str]:
    """The request header that carries the token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def account_required(url: str, status: int) -> ResolveError:
    """The error for a registry that refuses anonymous access."""
    return ResolveError(
        f"{url}: the registry requires an account ({status})",
        "The model may have become private. luci does not log in to registries.",
    )


def _has_succeeded(exchange: Future[str | None]) -> bool:
    return exchange.done() and exchange.exception() is None


def _token_address(repository: str, pairs: list[tuple[str, str]]) -> str:
    """The address of the token, by the parameters of a challenge. Raises: NetworkError, when it must not be used."""
    registry, parameters = urlsplit(repository), dict(pairs)
    if len(parameters) < len(pairs):
        parameters = {}  # it is not clear which of the repeated ones counts
    realm = parameters.get("realm", "")
    try:
        parts = urlsplit(realm)
        parts.port  # noqa: B018 - reading it validates it
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname or parts.scheme not in ("http", "https") or "@" in parts.netloc or not _is_clean(realm):
        raise NetworkError(
            f"{registry.netloc} requires a token, but its challenge is invalid",
            "Expected a Bearer challenge whose realm is an https address. Is this a registry?",
        )
    is_at_home = is_loopback(parts.hostname) and not is_loopback(registry.hostname or "")
    if parts.scheme == "http" and (registry.scheme == "https" or is_at_home):
        raise NetworkError(
            f"{registry.netloc} requires a token from plain http ({parts.netloc}), where anyone could change it",
            "Its operator has to provide an https address.",
        )
    query = urlencode([(name, value) for name, value in parameters.items() if name in ("service", "scope")])
    return f"{realm}{'&' if parts.query else '?'}{query}" if query else realm


def _challenges(line: str) -> list[_Challenge]:
    """The challenges of a WWW-Authenticate header; a malformed one has no parameters, and ends them."""
    found: list[_Challenge] = []
    pos = 0
    while piece := _PIECE.match(line, pos):
        pos = piece.end()
        name, quoted, bare = piece["name"].lower(), piece["quoted"], piece["bare"]
        if quoted is None and bare is None:
            found.append((name, []))
        elif found:
            found[-1][1].append((name, bare.strip("'") if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))
    if line[pos:].strip(" ,;") and found:
        found[-1] = found[-1][0], []
    return found


def _is_clean(realm: str) -> bool:
    return realm.isascii() and realm.isprintable() and not set(realm) & set(" #<>\\")


def _token_in(document: Document) -> str:
    """Raises: NetworkError. It does not show the response, which may contain a token."""
    response = document.json()
    if isinstance(response, dict):
        token = response.get("token") or response.get("access_token")
        if isinstance(token, str) and _TOKEN.fullmatch(token):
            return token
    raise NetworkError(f"the token server {urlsplit(document.url).netloc} returned no valid token", "Try again later.")
