"""The routes of the page: / itself, the status, and a stream of what changes in both."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from aiohttp import web

from luci_dl.serve.board import Board
from luci_dl.serve.desk import Desk
from luci_dl.serve.peer import peer_of
from luci_dl.serve.status import Facts
from luci_dl.serve.view import STEP_S, TEMPLATE, filled

MOST_VIEWERS = 64
"""How many may follow what changes at once."""
BEAT_S = 15
"""A viewer hears so often, in seconds, that the server still runs, if nothing changes."""
PATIENCE_S = 10
"""A viewer that takes nothing for so many seconds is dropped."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def _policy() -> str:
    """Nothing but what the page contains, and its own server."""
    style, script = (
        f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
        for tag in ("style", "script")
        for text in re.findall(f"<{tag}>(.*?)</{tag}>", TEMPLATE, re.DOTALL)
    )
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


PAGE_HEADERS = {**HEADERS, "Content-Security-Policy": _policy(), "Referrer-Policy": "no-referrer"}
EVENT_HEADERS = {**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


class Page:
    """The routes, and how many follow the events."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._viewers = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._page),
            web.get("/luci/v1/status", self._status),
            web.get("/luci/v1/events", self._events),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        peer = peer_of(request)
        snapshot = await self._board.snapshot(peer.is_local)
        scheme = "https" if peer.is_behind_proxy and peer.is_private else request.scheme
        text = filled({**snapshot.view, "host": request.host, "origin": f"{scheme}://{request.host}"})
        return web.Response(text=text, content_type="text/html", headers=PAGE_HEADERS)

    async def _status(self, request: web.Request) -> web.Response:
        snapshot = await self._board.snapshot(peer_of(request).is_local)
        return web.json_response(snapshot.status, headers=HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=EVENT_HEADERS)
        if request.method == "HEAD":
            return response
        if self._viewers >= MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text="There are too many viewers.\n", headers={"Retry-After": "15"})
        self._viewers += 1
        try:
            await response.prepare(request)
            await self._follow(request, response)
        finally:
            self._viewers -= 1
        return response

    async def _follow(self, request: web.Request, response: web.StreamResponse) -> None:
        """Send what changes until the viewer leaves, or is dropped."""
        local, seen, silent = peer_of(request).is_local, -1, 0
        while request.transport and not request.transport.is_closing():
            snapshot = await self._board.snapshot(local)
            events = snapshot.since(seen)
            seen, silent = snapshot.number, 0 if events else silent + 1
            if silent == BEAT_S:
                events, silent = b"event: beat\ndata: {}\n\n", 0
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await response.write(events)
            except (ConnectionError, TimeoutError):
                request.transport.abort()
                return
            await asyncio.sleep(1)


def routes(desk: Desk) -> list[web.RouteDef]:
    """GET and HEAD."""
    since = datetime.now(UTC).isoformat(timespec="seconds")

    def facts() -> Facts:
        return Facts(
            since=since,
            pull=desk.allow is not None,
            hub=desk.upstream.endpoints.hub,
            hub_state=desk.documents.state,
            files=[replace(file, access=desk.known_access(file.url, file.access)) for file in desk.shelf.files()],
            running=[pull for pull in desk.pulls.known() if pull.ended_at is None or pull.has_failed],
            account=desk.ledger.account(STEP_S),
        )

    return Page(Board(facts)).routes()
