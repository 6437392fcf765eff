"""Routes: the Hub's interface, for its own client, llama.cpp and other lucis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from luci_dl.errors import NetworkError, UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Artifact, Digest
from luci_dl.serve.answers import Refused
from luci_dl.serve.desk import Desk, Wanted, repository_at
from luci_dl.serve.documents import MAIN, Snapshot, Tree
from luci_dl.serve.peer import bearer, token_of
from luci_dl.serve.pulls import NotAllowed
from luci_dl.serve.sending import Answer, head, send
from luci_dl.sources.huggingface.answers import RepoFile
from luci_dl.sources.huggingface.hub import is_sound
from luci_dl.sources.huggingface.reference import HubReference, is_repo

_TRUE = {"true", "1"}
_OTHERS = "luci serve answers for the files of models only; ask the Hub itself"


@frozen
class _Asked:
    """What an address means. `path` is empty for all files."""

    repo: str
    revision: str
    path: str


class HubRoutes:
    """Answers as the Hub does, from what it said, and from the files here."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._documents = desk.documents

    async def facts(self, request: web.Request) -> web.StreamResponse:
        """What the Hub says about a repository, with the digests of its files if they are asked for."""
        asked = _asked(request, 3)
        snapshot = await self._snapshot(request, asked)
        if not {text.casefold() for text in request.query.getall("blobs", [])} & _TRUE:
            return _json(snapshot.facts)
        tree = await self._documents.tree(snapshot)
        return await _computed(partial(_facts_with_blobs, snapshot, tree))

    async def refs(self, request: web.Request) -> web.StreamResponse:
        asked = _asked(request, 3)
        await self._check_allowed(asked.repo)
        return _json(await self._documents.refs(asked.repo, token_of(request)))

    async def tree(self, request: web.Request) -> web.StreamResponse:
        """All files and folders below a path, or those right in it, in one page."""
        asked = _asked(request, 3)
        snapshot = await self._snapshot(request, asked)
        tree = await self._documents.tree(snapshot)
        recursive = request.query.get("recursive", "").casefold() in _TRUE
        if recursive and not asked.path:
            return _json(tree.body)
        if asked.path and not any(path.startswith(f"{asked.path}/") for path in tree.files):
            raise _no_entry(snapshot, asked.path)
        return await _computed(partial(_below, tree, asked.path, recursive=recursive))

    async def paths_info(self, request: web.Request) -> web.StreamResponse:
        """The entries of the files and folders that the client names; those that are not there are left out."""
        snapshot = await self._snapshot(request, _asked(request, 3))
        tree = await self._documents.tree(snapshot)
        paths = {path.strip("/") for path in await _paths(request)}
        return await _computed(lambda: [entry for entry in tree.entries() if entry.get("path") in paths])

    async def file(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a file."""
        asked = _asked(request, 1)
        try:
            snapshot = await self._snapshot(request, asked)
            tree = await self._documents.tree(snapshot)
        except NetworkError:
            wanted = await asyncio.to_thread(self._installed, asked)
            if wanted is None:
                raise
            return await self._desk.send(request, wanted)
        file = tree.files.get(asked.path)
        if file is None or not is_sound(asked.path):
            raise _no_entry(snapshot, asked.path)
        if file.sha256 is None:
            return await self._send_small(request, snapshot, file)
        if snapshot.access == "public":
            self._documents.accompany(snapshot)
        return await self._desk.send(request, _wanted(self._documents.artifact(snapshot, file), snapshot, file.path))

    def _installed(self, asked: _Asked) -> Wanted | None:
        """The file of that commit, by its receipt alone: for what was installed before anybody asked here for it."""
        hub = self._desk.upstream.endpoints.hub
        url = f"{hub}/{asked.repo}/resolve/{asked.revision}/{quote(asked.path)}"
        file = next((file for file in self._desk.shelf.files() if file.url == url), None)
        if file is None:
            return None
        artifact = Artifact(file.name, (url,), file.size, file.sha256, access=file.access)
        return _wanted(artifact, Snapshot(asked.repo, asked.revision, file.access, b""), asked.path)

    async def _send_small(self, request: web.Request, snapshot: Snapshot, file: RepoFile) -> web.StreamResponse:
        (url, *_) = self._documents.artifact(snapshot, file).urls
        access = snapshot.access if file.size else "public"  # a server that sends nothing has said nothing
        headers = await self._desk.gate.check(request, snapshot.repo, access, url)
        etag = f'"{file.digests[Digest.GIT_BLOB]}"'
        answer = Answer(file.size, etag, {"X-Repo-Commit": snapshot.commit, **_disposition(file.path)})
        if request.method == "HEAD":
            return head(request, answer)
        kept = await self._documents.small_file(snapshot, file, bearer(headers))
        return await send(request, answer, kept, lambda _count: None)

    async def _snapshot(self, request: web.Request, asked: _Asked) -> Snapshot:
        await self._check_allowed(asked.repo)
        return await self._documents.snapshot(asked.repo, asked.revision, token_of(request))

    async def _check_allowed(self, repo: str) -> None:
        """Raises: NotAllowed, when nothing of it may be fetched, nor is here."""
        try:
            self._desk.check_allowed(repo)
        except NotAllowed:
            hub, files = self._desk.upstream.endpoints.hub, await asyncio.to_thread(self._desk.shelf.files)
            if not any(repository_at(file.url, hub).casefold() == repo.casefold() for file in files):
                raise


def routes(desk: Desk) -> list[web.RouteDef]:
    """GET and HEAD, and the question that the Hub's client posts."""
    hub, model = HubRoutes(desk), "/api/models/{owner}/{name}"
    return [
        web.get(model, hub.facts),
        web.get(model + "/revision/{tail:.+}", hub.facts),
        web.get(model + "/refs", hub.refs),
        web.get(model + "/tree/{tail:.+}", hub.tree),
        web.post(model + "/paths-info/{tail:.+}", hub.paths_info),
        web.get("/api/agent-harnesses", _nothing),
        web.route("*", "/api/{tail:.*}", _elsewhere),
        web.get("/{owner}/{name}/resolve/{tail:.+}", hub.file),
    ]


async def _nothing(_request: web.Request) -> web.StreamResponse:
    return web.json_response({})


async def _elsewhere(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": _OTHERS}, status=404, headers={"X-Error-Message": _OTHERS})


def _asked(request: web.Request, owner_at: int) -> _Asked:
    """What the address means, each part of its path decoded once. Raises: UsageError."""
    owner, name, _kind, *rest = [*map(unquote, request.rel_url.raw_path.split("/")[owner_at:]), "", ""]
    length = 3 if rest[0] == "refs" else 1
    repo, revision, path = f"{owner}/{name}", "/".join(rest[:length]), "/".join(rest[length:]).strip("/")
    if not is_repo(repo):
        raise UsageError("expected OWNER/REPO as on the Hub", "The names of models have an owner.")
    if not revision.isprintable() or {".", ".."} & set(revision.split("/")):
        raise UsageError("expected a branch, a tag or a commit", "Check the revision.")
    return _Asked(repo, revision or MAIN, path)


async def _paths(request: web.Request) -> Sequence[str]:
    """Those that a client posts, as a form or as JSON. Raises: UsageError."""
    if request.content_type != "application/json":
        return [str(path) for path in (await request.post()).getall("paths", [])]
    try:
        facts = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise UsageError("expected paths as JSON", 'Send a list of paths as "paths".') from error
    paths = facts.get("paths") if isinstance(facts, dict) else None
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else [str(paths)]


def _wanted(artifact: Artifact, snapshot: Snapshot, path: str) -> Wanted:
    headers = {
        "X-Repo-Commit": snapshot.commit,
        "X-Linked-Etag": f'"{artifact.sha256}"',
        "X-Linked-Size": str(artifact.size),
        **_disposition(path),
    }
    reference = HubReference(snapshot.repo, snapshot.commit, path=path).text
    return Wanted(artifact, reference, snapshot.repo, snapshot.access, headers)


def _disposition(path: str) -> dict[str, str]:
    name = path.rpartition("/")[2]
    plain = name.encode("ascii", "replace").decode().translate({ord(each): "_" for each in '"\\'})
    return {"Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}; filename=\"{plain}\";"}


def _no_entry(snapshot: Snapshot, path: str) -> Refused:
    """As the Hub refuses a file that is not there; its client remembers that for the commit."""
    message = "Entry not found"
    headers = {"X-Error-Code": "EntryNotFound", "X-Error-Message": message, "X-Repo-Commit": snapshot.commit}
    body = json.dumps({"error": message}).encode()
    return Refused(f"{snapshot.repo} has no {path}", 404, {**headers, "Content-Type": "application/json"}, body)


def _json(data: bytes) -> web.Response:
    return web.Response(body=data, content_type="application/json", charset="utf-8")


async def _computed(work: Callable[[], object]) -> web.Response:
    """What the work returns, as JSON; both in a thread, because large repositories take a while."""
    return _json(await asyncio.to_thread(lambda: json.dumps(work()).encode()))


def _below(tree: Tree, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders in the folder; those in folders of it, too, if it is recursive."""
    prefix = f"{folder}/" if folder else ""
    found = [entry for entry in tree.entries() if str(entry.get("path")).startswith(prefix)]
    return found if recursive else [entry for entry in found if "/" not in str(entry.get("path"))[len(prefix) :]]


def _facts_with_blobs(snapshot: Snapshot, tree: Tree) -> dict[str, Any]:
    """The facts with the sizes and digests of the files."""
    files = [entry for entry in tree.entries() if entry.get("type") == "file"]
    return {**json.loads(snapshot.facts), "siblings": [*map(_sibling, files)]}


def _sibling(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A file as the facts about its repository list it."""
    facts = {"rfilename": entry["path"], "size": entry.get("size"), "blobId": entry.get("oid")}
    if not (lfs := entry.get("lfs")):
        return facts
    pointer = {"sha256": lfs.get("oid"), "size": lfs.get("size"), "pointerSize": lfs.get("pointerSize")}
    return {**facts, "lfs": pointer}
