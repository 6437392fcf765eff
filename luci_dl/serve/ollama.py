"""Ollama's interface: manifests, and blobs by their digest. Of the Hub's own registry, too, for what is known from it.

Whose a path is: the Hub's, if llama.cpp asks, or if the repository is known from the Hub; else Ollama's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from luci_dl.errors import NotFound
from luci_dl.model import MAX_COMPANION, Access
from luci_dl.serve.desk import Desk, Wanted, repository_at
from luci_dl.serve.kept import Kept
from luci_dl.serve.layers import SHA256, NamedLayer, Place, layers_of
from luci_dl.serve.pull import Pull
from luci_dl.serve.registry import Registry
from luci_dl.serve.shelf import ShelfFile
from luci_dl.sources.ollama.manifest import MANIFESTS
from luci_dl.sources.ollama.name import DEFAULT_HOST, Name

KEPT = 256 << 20
"""Bytes of manifests and small layers that are kept."""
_HUB_REGISTRY = "hf.co"
_LLAMA_CPP = "llama-cpp"
_PART = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_DIGEST = f"{SHA256}[0-9a-f]{{64}}"
_MODEL = f"/v2/{{namespace:{_PART}}}/{{model:{_PART}}}"
_VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}


def routes(desk: Desk) -> list[web.RouteDef]:
    """GET and HEAD."""
    front = _Front(desk)
    return [
        web.get("/v2/", front.version),
        web.get(f"{_MODEL}/manifests/{{tag:{_PART}|{_DIGEST}}}", front.manifest),
        web.get(f"{_MODEL}/blobs/{{digest:{_DIGEST}}}", front.blob),
    ]


class _Front:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._registry = Registry(desk.upstream, Kept(desk.home / "ollama", KEPT))
        self._turns: dict[str, asyncio.Lock] = {}

    async def version(self, _request: web.Request) -> web.StreamResponse:
        """It is a registry, and needs no token."""
        return web.json_response({}, headers=_VERSION)

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        place = await asyncio.to_thread(self._place, request)
        check_allowed = partial(self._desk.check_allowed, place.path)
        async with self._turn(f"{place.repository} {place.name.tag}"):
            body = await self._desk.ask(partial(self._registry.manifest, place, check_allowed))
        access = await self._access(request, place, body)
        await asyncio.to_thread(self._registry.remember, place, body, access)
        headers = {**_VERSION, **_digest_headers(hashlib.sha256(body).hexdigest()), "Content-Type": _kind_of(body)}
        return web.Response(body=body, headers=headers)

    async def blob(self, request: web.Request) -> web.StreamResponse:
        sha256 = request.match_info["digest"].removeprefix(SHA256)
        layer = await asyncio.to_thread(self._registry.layer, _path(request), sha256)
        if layer is None:
            return await self._desk.send_known(request, sha256)
        headers = {**_digest_headers(sha256), "Location": request.path}  # Ollama asks for ranges there
        if layer.size <= MAX_COMPANION:
            return web.Response(body=await self._small(request, layer), headers=headers)
        return await self._desk.send(
            request, Wanted(layer.artifact, layer.reference, _path(request), layer.access, headers)
        )

    async def _small(self, request: web.Request, layer: NamedLayer) -> bytes:
        headers = await self._desk.gate.check(request, _path(request), layer.access, layer.url)
        check_allowed = partial(self._desk.check_allowed, _path(request))
        async with self._turn(layer.sha256):
            return await self._desk.ask(partial(self._registry.small, layer, headers, check_allowed))

    def _place(self, request: web.Request) -> Place:
        """Which registry is asked for the model."""
        path, parts, endpoints = _path(request), request.match_info, self._desk.upstream.endpoints
        agent, on_hub = request.headers.get("User-Agent", ""), self._access_on_hub(path)
        is_llama_cpp = agent.startswith(_LLAMA_CPP)
        if not (is_llama_cpp or on_hub):
            name = Name(DEFAULT_HOST, parts["namespace"], parts["model"], parts["tag"])
            return Place(name, f"{endpoints.ollama}/v2/{path}", "public", {})
        name = Name(_HUB_REGISTRY, parts["namespace"], parts["model"], parts["tag"])
        own = {key: request.headers[key] for key in ("Authorization",) if key in request.headers}
        headers = {**own, "User-Agent": agent} if is_llama_cpp else own
        dialect = _LLAMA_CPP if is_llama_cpp else ""
        return Place(name, f"{endpoints.hub}/v2/{path}", on_hub or "unknown", headers, dialect)

    def _access_on_hub(self, path: str) -> Access | None:
        """Who may have the files of the Hub's repository that are here, or come; None if there are none."""
        hub = self._desk.upstream.endpoints.hub
        files: list[ShelfFile | Pull] = [*self._desk.shelf.files(), *self._desk.pulls.running()]
        found = {file.access for file in files if repository_at(file.url, hub) == path}
        return "public" if "public" in found else next(iter(found), None)

    async def _access(self, request: web.Request, place: Place, manifest: bytes) -> Access:
        """Who may have the model. Raises: Gated, when the client may not; NetworkError, when that is not known."""
        if place.access == "public":
            return "public"
        layers = layers_of(manifest, place, place.access)
        if not layers:
            raise NotFound(f"the Hub's registry names no files of {place.path}", "Ask for them by their names.")
        largest = max(layers, key=lambda layer: layer.size)
        headers = await self._desk.gate.check(request, place.path, place.access, largest.url)
        return place.access if headers else "public"

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        """Those who ask for the same at once do so one after another: all but the first find it kept."""
        async with self._turns.setdefault(key, asyncio.Lock()):
            try:
                yield
            finally:
                self._turns.pop(key, None)


def _path(request: web.Request) -> str:
    """NAMESPACE/MODEL."""
    return f"{request.match_info['namespace']}/{request.match_info['model']}"


def _digest_headers(sha256: str) -> dict[str, str]:
    return {"Docker-Content-Digest": f"{SHA256}{sha256}", "ETag": f'"{sha256}"'}


def _kind_of(manifest: bytes) -> str:
    """Its media type, as it says itself."""
    facts = json.loads(manifest)
    kind = facts.get("mediaType") if isinstance(facts, dict) else None
    return kind if isinstance(kind, str) and kind.isascii() and kind.isprintable() else MANIFESTS[0]
