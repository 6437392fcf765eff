"""What the Hub says about repositories, without Xet, which would lead clients past this server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from luci_dl.errors import IntegrityError, LuciError, ResolveError
from luci_dl.frozen import frozen
from luci_dl.model import Access, Artifact, Digest
from luci_dl.net.document import Document
from luci_dl.serve.answers import FOREVER, Answers, Ask, Refused, State
from luci_dl.serve.kept import Kept, KeptFile
from luci_dl.sources.context import MAX_BYTES, ResolveContext
from luci_dl.sources.huggingface.answers import RepoFile, accepted, ask, facts_of, facts_url, files_in, pages, tree_url
from luci_dl.sources.huggingface.hub import Listing, artifact_of

T = TypeVar("T")
FOLDER = "documents"
LIMIT = 256 << 20
"""Bytes of all that is kept on disk."""
HOLD_S = 60.0
"""How long the Hub's word holds on what a branch is now, and on who may have a repository."""
MAIN = "main"
_PASSED_ON = ("x-error-code", "x-error-message", "content-type")


@frozen
class Snapshot:
    """A repository at a commit.

    Attributes:
        repo: OWNER/REPO as the Hub spells it; for a renamed repository the name that was asked for.
        access: who may have its files.
        facts: what the Hub says about it, as JSON.
        token: without which it would not; empty for most.
    """

    repo: str
    commit: str
    access: Access
    facts: bytes = field(repr=False)
    token: str = field(default="", repr=False)


@frozen
class Tree:
    """All files of a commit.

    Attributes:
        body: files and folders as the Hub lists them, as JSON.
        files: by path.
    """

    body: bytes = field(repr=False)
    files: Mapping[str, RepoFile]

    def entries(self) -> list[dict[str, Any]]:
        """Files and folders as the Hub lists them; for a large repository it takes a while."""
        found: list[dict[str, Any]] = json.loads(self.body)
        return found


class Documents:
    """Asks the Hub, or uses what it said before. In the event loop's thread only.

    A `token` is that of the client. Where the Hub wants one, the answer is for clients with this token only, and not
    used while the Hub is away. Every method raises Refused, with the Hub's own refusal, and LuciError, when the Hub
    gives no answer and none is known.
    """

    def __init__(self, home: Path, upstream: ResolveContext, ask_in_thread: Ask) -> None:
        self._kept = Kept(home / FOLDER, LIMIT)
        self._answers = Answers(self._kept, ask_in_thread)
        self._upstream = replace(upstream, retries=0)  # a client waits, and not for as long as the Hub may ask to
        self._accompanied: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> State:
        """Whether the Hub answered the last question."""
        return self._answers.state

    async def snapshot(self, repo: str, revision: str, token: str = "") -> Snapshot:
        """What a branch, tag or commit of the repository is now."""
        url = facts_url(self._upstream.endpoints.hub, repo, revision)
        return await self._get(f"facts {repo.casefold()} {revision}", url, partial(_snapshot, repo), token)

    async def refs(self, repo: str, token: str = "") -> bytes:
        """Its branches and tags, as JSON."""
        url = f"{self._upstream.endpoints.hub}/api/models/{repo}/refs"
        return await self._get(f"refs {repo.casefold()}", url, lambda _token, data: data, token)

    async def tree(self, snapshot: Snapshot) -> Tree:
        """The files of a snapshot."""

        def fetch() -> bytes:
            context = _with_token(self._upstream, snapshot.token)
            listing = pages(context, tree_url(context.endpoints.hub, snapshot.repo, snapshot.commit))
            return _stripped([entry for _, entries in listing for entry in entries])

        return await self._answers.get(f"tree {snapshot.repo.casefold()} {snapshot.commit}", fetch, _tree, FOREVER)

    async def small_file(self, snapshot: Snapshot, file: RepoFile, token: str = "") -> KeptFile:
        """A file that git itself keeps, which the client may have; proved by its SHA-1."""
        key = f"blob {file.digests[Digest.GIT_BLOB]}"
        found = await asyncio.to_thread(self._kept.find, key)
        if found:
            return found
        artifact = self.artifact(snapshot, file, token)

        async def fetch() -> KeptFile:
            data = await self._answers.ask(partial(_content, self._upstream, artifact))
            return await asyncio.to_thread(self._kept.write, key, data)

        return await self._answers.once(key, fetch)

    def artifact(self, snapshot: Snapshot, file: RepoFile, token: str = "") -> Artifact:
        """A file of a snapshot, to be fetched with that token."""
        context = _with_token(self._upstream, token)
        listing = Listing(snapshot.repo, snapshot.commit, (), context.endpoints.hub, snapshot.access)
        return artifact_of(listing, file, file.path.rpartition("/")[2], context)

    def accompany(self, snapshot: Snapshot) -> None:
        """Soon `ask_ahead`."""
        task = asyncio.create_task(self.ask_ahead(snapshot.repo, snapshot.commit))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask_ahead(self, repo: str, revision: str) -> None:
        """Ask for what clients ask for first, so that it is known when the Hub is away; once for a revision."""
        asked = repo, revision
        if asked in self._accompanied:
            return
        self._accompanied.add(asked)
        try:
            now = await self.snapshot(repo, MAIN)
            await self.tree(now)
            await self.refs(repo)
            for each in {now.commit, revision}:  # clients name it once they know it
                await self.snapshot(repo, each)
        except LuciError:  # whoever needs it asks again
            self._accompanied.discard(asked)

    async def _get(self, key: str, url: str, read: Callable[[str, bytes], T], token: str) -> T:
        """The answer for everybody, or else that for the token."""
        try:
            return await self._answers.get(key, partial(_asked, self._upstream, url), partial(read, ""), HOLD_S)
        except Refused:
            if not token:
                raise
        fetch = partial(_asked, _with_token(self._upstream, token), url)
        return await self._answers.get(f"{key} {token}", fetch, partial(read, token), HOLD_S, keep=False)


def _with_token(context: ResolveContext, token: str) -> ResolveContext:
    return replace(context, endpoints=replace(context.endpoints, hub_token=token or None))


def _asked(context: ResolveContext, url: str) -> bytes:
    """Raises: Refused, for a refusal in the Hub's own words; LuciError."""
    document = ask(context, url)
    headers = {name: document.headers[name] for name in _PASSED_ON if name in document.headers}
    if 400 <= document.status < 500 and headers.keys() & {"x-error-code", "x-error-message"}:
        found = f"{document.status}{document.reason}"
        raise Refused(f"the Hub refuses {url} ({found})", document.status, headers, document.body)
    return _stripped(accepted(document))


def _snapshot(repo: str, token: str, data: bytes) -> Snapshot:
    facts = facts_of(_kept_document(data))
    spelt = facts.name if facts.name.casefold() == repo.casefold() else repo
    return Snapshot(spelt, facts.commit, facts.access, data, token)


def _tree(data: bytes) -> Tree:
    document = _kept_document(data)
    entries = document.json()
    if not isinstance(entries, list):
        raise ResolveError("the list of files is no list")
    return Tree(data, files_in([(document, entries)]))


def _kept_document(data: bytes) -> Document:
    return Document("", 200, {}, data)


def _content(context: ResolveContext, artifact: Artifact) -> bytes:
    """Raises: IntegrityError, for wrong bytes; LuciError."""
    size = artifact.size or 0
    if size > MAX_BYTES:
        raise ResolveError(f"{artifact.name} has {size >> 20} MiB, too much for a file without a SHA-256")
    data = context.beginning(artifact, size) if size else b""
    if Digest.GIT_BLOB.of(data) != artifact.digests[Digest.GIT_BLOB]:
        raise IntegrityError(f"the Hub sent {artifact.name} with wrong bytes", "Try again.")
    return data


def _stripped(value: object) -> bytes:
    return json.dumps(_without_xet(value), separators=(",", ":")).encode()


def _without_xet(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_xet(each) for name, each in value.items() if not name.casefold().startswith("xet")}
    return [_without_xet(each) for each in value] if isinstance(value, list) else value
