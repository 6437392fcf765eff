"""Answers of a server: asked for once for all who wait, kept, and used on while the server is away."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from luci_dl.errors import LuciError, NetworkError, ResolveError, StorageError
from luci_dl.serve.kept import Kept

T = TypeVar("T")
State = Literal["unasked", "ok", "away"]
FOREVER = float("inf")
AWAY_S = 60.0
"""A server that did not answer is asked again after so long; until then what is known is used."""
STALE_AFTER_S = 5.0
"""So long a client waits for a new answer where an old one is known."""
AT_ONCE_S = 1.0
"""A question that fails sooner has perhaps met a connection that was just closed."""
REFUSED_S = 10.0
"""How long a refusal is the answer."""
MAX_MEMORY = 4 << 20
"""Bytes of the answers that are kept in memory, too, as they were sent."""
_LEAST = 1 << 10
"""What each of them counts at least."""


class Refused(ResolveError):
    """The server's own refusal, to be passed on as it is."""

    def __init__(self, message: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = body


class Ask(Protocol):
    """Runs what blocks in a thread."""

    def __call__(self, question: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass
class _Known:
    """What is known by a key: a value, or a refusal."""

    value: Any
    size: int
    until: float

    def result(self) -> Any:
        if isinstance(self.value, Refused):
            raise self.value
        return self.value


class Answers:
    """Used in the event loop's thread only.

    Attributes:
        state: whether the server answered the last question.
    """

    def __init__(self, kept: Kept, ask: Ask) -> None:
        self.state: State = "unasked"
        self._kept = kept
        self._ask = ask
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._running: dict[str, asyncio.Future[Any]] = {}
        self._away_until = 0.0

    async def get(
        self, key: str, fetch: Callable[[], bytes], read: Callable[[bytes], T], hold_s: float, *, keep: bool = True
    ) -> T:
        """The answer to a question.

        Args:
            fetch: asks the server; it may block.
            read: what the answer means. Raises: LuciError, for one that is invalid.
            hold_s: how long it holds; after that it is used only if the server does not give a new one.
            keep: on disk, and after it has ceased to hold.

        Raises: Refused; LuciError, when there is no answer.
        """
        known = await self._find(key, read, hold_s, keep=keep)
        now = time.monotonic()
        if known and (known.until > now or (keep and self._away_until > now)):
            return known.result()  # type: ignore[no-any-return]
        new = self.once(key, partial(self._refresh, key, fetch, read, hold_s, keep))
        if known is None or not keep:
            return await new
        try:
            async with asyncio.timeout(STALE_AFTER_S):
                return await new
        except Refused:
            raise
        except (TimeoutError, LuciError) as error:
            if isinstance(error, TimeoutError):
                self._note("away")  # until it answers
            return known.result()  # type: ignore[no-any-return]

    async def once(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do the work, which goes on without whoever waits for it; who wants the same meanwhile gets the same."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(work())
            running.add_done_callback(partial(self._ended, key))
        return await asyncio.shield(running)

    def _ended(self, key: str, task: asyncio.Future[Any]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # those who wait have it

    async def ask(self, question: Callable[[], T]) -> T:
        """Ask the server; again if that fails at once. Raises: what the question raises."""
        began = time.monotonic()
        try:
            try:
                answer = await self._ask(question)
            except NetworkError:
                if time.monotonic() - began > AT_ONCE_S:
                    raise
                answer = await self._ask(question)
        except NetworkError:
            self._note("away")
            raise
        except Refused:
            self._note("ok")
            raise
        self._note("ok")
        return answer

    def _note(self, state: State) -> None:
        self.state = state
        self._away_until = time.monotonic() + AWAY_S if state == "away" else 0.0

    async def _refresh(
        self, key: str, fetch: Callable[[], bytes], read: Callable[[bytes], T], hold_s: float, keep: bool
    ) -> T:
        def asked() -> tuple[bytes, T]:
            data = fetch()
            return data, read(data)

        try:
            data, value = await self.ask(asked)
        except Refused as refused:
            self._remember(key, _Known(refused, len(refused.body), time.monotonic() + REFUSED_S))
            await asyncio.to_thread(self._kept.remove, key)
            raise
        self._remember(key, _Known(value, len(data), time.monotonic() + hold_s))
        if keep:
            await asyncio.to_thread(self._write, key, data)
        return value

    def _write(self, key: str, data: bytes) -> None:
        try:
            self._kept.write(key, data)
        except StorageError:  # a full disk: it is asked for again when memory has forgotten it
            return

    async def _find(self, key: str, read: Callable[[bytes], T], hold_s: float, *, keep: bool) -> _Known | None:
        """What is known. From a former process comes what never changes, or must be asked for again."""
        if known := self._known.get(key):
            self._known.move_to_end(key)
            return known
        data = await asyncio.to_thread(self._kept.read, key) if keep else None
        if data is None:
            return None
        try:
            value = await asyncio.to_thread(read, data)
        except LuciError:
            return None
        known = _Known(value, len(data), FOREVER if hold_s == FOREVER else 0.0)
        self._remember(key, known)
        return known

    def _remember(self, key: str, known: _Known) -> None:
        """Keep it in memory; the least recently used go."""
        self._known[key] = known
        self._known.move_to_end(key)
        size = sum(max(each.size, _LEAST) for each in self._known.values())
        while size > MAX_MEMORY and len(self._known) > 1:
            size -= max(self._known.popitem(last=False)[1].size, _LEAST)
