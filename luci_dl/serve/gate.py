"""Who may have a file: everybody what is public, and else whom the Hub itself gives it to."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from luci_dl.errors import LuciError, NetworkError, ResolveError
from luci_dl.frozen import frozen
from luci_dl.model import Access
from luci_dl.serve.peer import peer_of

REMEMBER_S = 300.0
"""How long the Hub's answer about a token and a file holds."""
MAX_ANSWERS = 10_000
_AUTHORIZATION = "Authorization"


class Gated(ResolveError):
    """The client may not have it. `has_token`: it sent one."""

    def __init__(self, message: str, hint: str = "", *, has_token: bool = False) -> None:
        super().__init__(message, hint)
        self.has_token = has_token


@frozen
class _Answer:
    allowed: bool
    until: float


class Gate:
    """Asks the Hub with the token of the client, never with that of the server.

    Args:
        ask_hub: returns if an address of the Hub is served with these headers. Raises: ResolveError, if it is not;
            NetworkError, when the Hub cannot be asked.
    """

    def __init__(self, ask_hub: Callable[[str, Mapping[str, str]], Awaitable[None]]) -> None:
        self._ask_hub = ask_hub
        self._key = secrets.token_bytes(32)
        self._answers: dict[bytes, _Answer] = {}
        self._asking: dict[bytes, asyncio.Lock] = {}

    async def check(self, request: web.Request, repository: str, access: Access, url: str) -> Mapping[str, str]:
        """Refuse a client that may not have what is at that address of the Hub.

        Args:
            repository: OWNER/REPO; empty for what is not from the Hub.

        Returns: what it may be fetched with upstream. Raises: Gated; NetworkError, when the Hub cannot be asked.
        """
        if access == "public":
            return {}
        if not repository:
            raise Gated(
                "it was installed with credentials, or nobody knows how, so luci serve gives it to nobody",
                "Install it from its own server.",
            )
        given, is_private = request.headers.get(_AUTHORIZATION, ""), peer_of(request).is_private
        headers = {_AUTHORIZATION: given} if given and is_private else {}  # else it must be public
        if access == "gated" and not is_private:
            raise Gated(
                f"{repository} is not public, and luci serve sends such files over TLS only",
                "Use https, or fetch it from the Hub itself.",
                has_token=bool(given),
            )
        if not await self._is_allowed(url, headers):
            raise Gated(
                f"the Hub gives {repository} only to accounts that may have it",
                "Accept its licence on its page, then set HF_TOKEN to a token of that account.",
                has_token=bool(given),
            )
        return headers

    async def _is_allowed(self, url: str, headers: Mapping[str, str]) -> bool:
        said = f"{headers.get(_AUTHORIZATION, '')}\0{url}"
        key = hmac.digest(self._key, said.encode("utf-8", "surrogateescape"), "sha256")
        lock = self._asking.setdefault(key, asyncio.Lock())
        async with lock:  # many ranges of a file are asked for at once
            try:
                known = self._answers.get(key)
                if known is None or known.until < time.monotonic():
                    known = await self._ask(url, headers)
                    self._keep(key, known)
                return known.allowed
            finally:
                self._asking.pop(key, None)

    async def _ask(self, url: str, headers: Mapping[str, str]) -> _Answer:
        try:
            await self._ask_hub(url, headers)
        except NetworkError:
            raise
        except LuciError:
            return _Answer(False, time.monotonic() + REMEMBER_S)
        return _Answer(True, time.monotonic() + REMEMBER_S)

    def _keep(self, key: bytes, answer: _Answer) -> None:
        now = time.monotonic()
        if len(self._answers) >= MAX_ANSWERS:
            self._answers = {each: known for each, known in self._answers.items() if known.until > now}
        if len(self._answers) < MAX_ANSWERS:
            self._answers[key] = answer
