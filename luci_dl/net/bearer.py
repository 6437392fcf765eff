"""Tokens of registries: what a bearer challenge asks for, fetched without an account, once for all who need it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from urllib.parse import urlencode, urlsplit

from luci_dl.errors import NetworkError, ResolveError
from luci_dl.net.answers import Document, is_passing, retry_after
from luci_dl.net.origin import is_loopback
from luci_dl.net.retry import AttemptFailed

_PARAMETER = r"""([a-z_-]{1,32})=(?:"([^"\\\x00-\x1f\x7f]{0,2048})"|([!#$%&'*+.^_`|~0-9a-z-]{1,2048}))"""
_CHALLENGE = re.compile(f" *bearer +{_PARAMETER}(?: *, *{_PARAMETER}){{0,15}} *", re.IGNORECASE)
_ONE_PARAMETER = re.compile(_PARAMETER, re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*")


class Tokens:
    """The token of each repository, which is the address that all its files begin with. Any thread may ask.

    Args:
        ask: brings a small answer of any status.
    """

    def __init__(self, ask: Callable[[str], Document]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._exchanges: dict[str, Future[str | None]] = {}  # the latest of each repository

    def of(self, repository: str) -> str | None:
        """The token to try; None before there is one."""
        exchange = self._exchanges.get(repository)
        return exchange.result() if exchange and _has_succeeded(exchange) else None

    def renew(self, repository: str, challenges: Sequence[str], refused: str | None) -> str | None:
        """Another token than the one that was refused (None: there was none); waits where one is under way.

        Args:
            challenges: what the registry said with its refusal.

        Returns: None when strangers get none.
        Raises: AttemptFailed, when another attempt may help; NetworkError.
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
                exchange.set_result(self._fetch(repository, challenges))
            except BaseException as error:  # noqa: BLE001 - raised below, here and in every thread that waits
                exchange.set_exception(error)
        return exchange.result()

    def _fetch(self, repository: str, challenges: Sequence[str]) -> str | None:
        challenge = next((text for text in challenges if text.strip().lower().startswith("bearer")), None)
        if challenge is None:
            return None  # it wants a password, or nothing that it says
        document = self._ask(_address(repository, challenge))
        host = urlsplit(document.url).netloc
        if document.status in (401, 403):
            return None
        if is_passing(document.status):
            reason = f"{host}, which gives the tokens, answers {document.status}"
            raise AttemptFailed(reason, retry_after(document.headers), busy=True)
        if document.status != 200:
            raise NetworkError(f"{host} answers {document.status} instead of giving a token", "Try again later.")
        return _token_in(document)


def bearing(token: str | None) -> dict[str, str]:
    """The request header that shows the token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def without_account(url: str, status: int) -> ResolveError:
    """The registry refused a file to a stranger."""
    return ResolveError(
        f"{url}: the registry gives this to nobody without an account ({status})",
        "It may have become private; luci has no account there.",
    )


def _has_succeeded(exchange: Future[str | None]) -> bool:
    return exchange.done() and exchange.exception() is None


def _address(repository: str, challenge: str) -> str:
    """Where the challenge says that the token is. Raises: NetworkError, for a way that must not be gone."""
    registry = urlsplit(repository)
    told = _parameters(challenge)
    realm = told.get("realm", "")
    try:
        parts = urlsplit(realm)
        parts.port  # noqa: B018 - it is checked when it is asked for
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname or parts.scheme not in ("http", "https") or "@" in parts.netloc or not _is_clean(realm):
        raise NetworkError(
            f"{registry.netloc} asks for a token, but not in a way that luci understands",
            "Expected Bearer with a realm that is an https address. Is this a registry?",
        )
    if parts.scheme == "http" and not (is_loopback(parts.hostname) and is_loopback(registry.hostname or "")):
        raise NetworkError(
            f"{registry.netloc} sends us for a token to plain http ({parts.netloc}), where anybody could change it",
            "Its operator has to name an https address.",
        )
    query = urlencode([(name, value) for name, value in told.items() if name in ("service", "scope")])
    return f"{realm}{'&' if parts.query else '?'}{query}" if query else realm


def _parameters(challenge: str) -> dict[str, str]:
    """By lower-case name; nothing where it is no challenge, or says one thing twice."""
    if not _CHALLENGE.fullmatch(challenge):
        return {}
    pairs = [(name.lower(), quoted or bare) for name, quoted, bare in _ONE_PARAMETER.findall(challenge)]
    return dict(pairs) if len(dict(pairs)) == len(pairs) else {}


def _is_clean(realm: str) -> bool:
    return realm.isascii() and realm.isprintable() and not set(realm) & set(" #<>\\")


def _token_in(document: Document) -> str:
    """Raises: NetworkError, which does not show what it found: it may be a token all the same."""
    answer = document.json()
    if isinstance(answer, dict):
        token = answer.get("token") or answer.get("access_token")
        if isinstance(token, str) and _TOKEN.fullmatch(token):
            return token
    raise NetworkError(f"{urlsplit(document.url).netloc} gives no token that luci understands", "Try again later.")
