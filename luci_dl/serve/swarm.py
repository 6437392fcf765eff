"""Routes: what hosts need to share a file that is here. The metainfo, and who the others are."""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import web

from luci_dl.errors import NotFound, UsageError
from luci_dl.serve.desk import Desk
from luci_dl.serve.files import PATH
from luci_dl.serve.metainfo import with_web_seed
from luci_dl.serve.peer import peer_of
from luci_dl.serve.shelf import ShelfFile
from luci_dl.serve.torrents import Torrents, may_share
from luci_dl.serve.tracker import Tracker

_SHA256 = "{sha256:[0-9a-f]{64}}"
RETRY_S = 1
"""When a client should ask again for metainfo that is being made."""


def routes(desk: Desk, torrents: Torrents, tracker: Tracker) -> list[web.RouteDef]:
    """GET only."""

    async def find(request: web.Request) -> ShelfFile:
        file = await asyncio.to_thread(desk.verified, request.match_info["sha256"])
        if not file or not may_share(file) or await desk.access_of(file.url, file.access) != "public":
            raise NotFound("no file of that SHA-256 is shared from host to host here", "Fetch it from here.")
        return file

    async def torrent(request: web.Request) -> web.StreamResponse:
        file = await find(request)
        data = await asyncio.to_thread(torrents.get, file)
        if data is None:
            return web.Response(status=202, headers={"Retry-After": str(RETRY_S)})
        at_server = f"{request.scheme}://{request.host}{PATH.partition('{')[0]}"
        return web.Response(body=with_web_seed(data, at_server), content_type="application/x-bittorrent")

    async def announce(request: web.Request) -> web.StreamResponse:
        file = await find(request)
        port, missing = _number(request, "port", 1, 65535), _number(request, "missing", 0, file.size)
        others = tracker.announce(file.sha256, peer_of(request).address, port, missing)
        hosts = [[host.address, host.port] for host in others.hosts]
        return web.json_response({"hosts": hosts, "fetching": others.fetching, "interval": others.interval})

    get = partial(web.get, allow_head=False)
    return [get(f"/luci/v1/torrents/{_SHA256}", torrent), get(f"/luci/v1/announce/{_SHA256}", announce)]


def _number(request: web.Request, name: str, least: int, most: int) -> int:
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise UsageError(f"{name}: expected a number from {least} to {most}", "")
    return int(text)
