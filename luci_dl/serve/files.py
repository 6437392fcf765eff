"""Files by their SHA-256, for other lucis: what is here or on its way, whoever asked for it by what name."""

from __future__ import annotations

from aiohttp import web

from luci_dl.serve.desk import Desk

PATH = "/luci/v1/files/{sha256:[0-9a-f]{64}}"


def routes(desk: Desk) -> list[web.RouteDef]:
    """GET and HEAD."""

    async def file(request: web.Request) -> web.StreamResponse:
        return await desk.send_known(request, request.match_info["sha256"])

    return [web.get(PATH, file)]
