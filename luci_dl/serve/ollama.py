"""Ollama's interface: manifests, and blobs by their digest. Of the Hub's own registry, too, for what is known from it.

Whose a path is: the Hub's, if llama.cpp asks, or if the repository is known from the Hub; else Ollama's.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from luci_dl.errors import NetworkError
from luci_dl.model import MAX_COMPANION, Access
from luci_dl.serve.desk import Desk, Wanted, repository_at
from luci_dl.serve.documents import MAIN
from luci_dl.serve.layers import SHA256, Place, media_type
from luci_dl.serve.peer import token_of
from luci_dl.serve.pull import Pull
from luci_dl.serve.pulls import NotAllowed
from luci_dl.serve.registry import Registry, digest_of
from luci_dl.serve.shelf import ShelfFile
from luci_dl.sources.ollama.name import DEFAULT_HOST, Name

FOLDER = "ollama"
_HUB_REGISTRY = "hf.co"
_LLAMA_CPP = "llama-cpp"
_PART = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_DIGEST = f"{SHA256}[0-9a-f]{{64}}"
_MODEL = f"/v2/{{namespace:{_PART}}}/{{model:{_PART}}}"
_DIGEST_HEADER = "Docker-Content-Digest"
_VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}


def routes(desk: Desk) -> list[web.RouteDef]:
    """GET and HEAD."""
    front = OllamaRoutes(desk)
    return [
        web.get("/v2/", front.version),
        web.get(f"{_MODEL}/manifests/{{tag:{_PART}|{_DIGEST}}}", front.manifest),
        web.get(f"{_MODEL}/blobs/{{digest:{_DIGEST}}}", front.blob),
    ]


class OllamaRoutes:
    """Answers as a registry does, from what the registries said, and from the files here."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._documents = desk.documents
        self._registry = Registry(desk.home / FOLDER, desk.upstream, desk.ask, desk.check_allowed)

    async def version(self, _request: web.Request) -> web.StreamResponse:
        """It is a registry, and needs no token."""
        return web.json_response({}, headers=_VERSION)

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        """What names the layers of a model."""
        path = _path(request)
        access = await asyncio.to_thread(self._access_on_hub, path)
        if access or _is_llama_cpp(request):
            place, access = self._on_hub(request), await self._access(request, path, access or "unknown")
        else:
            place, access = self._at_ollama(request), "public"
        body = await self._registry.manifest(place)
        await asyncio.to_thread(self._registry.remember, place, body, access)
        headers = {**_VERSION, _DIGEST_HEADER: digest_of(body), "Content-Type": media_type(body)}
        return web.Response(body=body, headers=headers)

    async def blob(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a layer; Ollama wants to hear where it may ask for ranges of them."""
        path, sha256 = _path(request), request.match_info["digest"].removeprefix(SHA256)
        layer = await asyncio.to_thread(self._registry.layer, path, sha256)
        if layer is None:
            return await self._desk.send_known(request, sha256)
        headers = {_DIGEST_HEADER: layer.digest, "Location": request.path}
        if layer.size > MAX_COMPANION:
            wanted = Wanted(layer.artifact, layer.reference, path, layer.access, headers)
            return await self._desk.send(request, wanted)
        given = await self._desk.gate.check(request, path, layer.access, layer.url)
        return web.Response(body=await self._registry.small(layer, given), headers=headers)

    def _at_ollama(self, request: web.Request) -> Place:
        name = _name(request, DEFAULT_HOST)
        return Place(name, f"{self._desk.upstream.endpoints.ollama}/v2/{_path(request)}")

    def _on_hub(self, request: web.Request) -> Place:
        headers = {"User-Agent": _LLAMA_CPP} if _is_llama_cpp(request) else {}
        repository = f"{self._desk.upstream.endpoints.hub}/v2/{_path(request)}"
        return Place(_name(request, _HUB_REGISTRY), repository, headers, token_of(request))

    def _access_on_hub(self, path: str) -> Access | None:
        """Who may have the files of the Hub's repository that are here, or come; None if there are none."""
        hub = self._desk.upstream.endpoints.hub
        files: list[ShelfFile | Pull] = [*self._desk.shelf.files(), *self._desk.pulls.running()]
        found = {file.access for file in files if repository_at(file.url, hub) == path}
        return next((access for access in ("public", "gated", "unknown") if access in found), None)

    async def _access(self, request: web.Request, path: str, known: Access) -> Access:
        """Who may have the files, as the Hub says; while it is away what is `known`."""
        try:
            self._desk.check_allowed(path)
            return (await self._documents.snapshot(path, MAIN, token_of(request))).access
        except (NetworkError, NotAllowed):
            return known


def _path(request: web.Request) -> str:
    """NAMESPACE/MODEL."""
    return f"{request.match_info['namespace']}/{request.match_info['model']}"


def _name(request: web.Request, host: str) -> Name:
    parts = request.match_info
    return Name(host, parts["namespace"], parts["model"], parts["tag"])


def _is_llama_cpp(request: web.Request) -> bool:
    return request.headers.get("User-Agent", "").startswith(_LLAMA_CPP)
