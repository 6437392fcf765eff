"""What all routes share: a file that was asked for is found here, or fetched, and sent to whoever may have it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

from aiohttp import web

from luci_dl.cancel import CancelToken
from luci_dl.errors import NotFound
from luci_dl.events import ignore
from luci_dl.frozen import frozen
from luci_dl.library.clean import clean
from luci_dl.library.partials import partials
from luci_dl.model import Access, Artifact
from luci_dl.serve.answers import Refused
from luci_dl.serve.documents import Documents
from luci_dl.serve.gate import Gate
from luci_dl.serve.ledger import Ledger
from luci_dl.serve.peer import peer_of
from luci_dl.serve.pull import Pull
from luci_dl.serve.pulls import FOLDER, Busy, NotAllowed, Pulls
from luci_dl.serve.sending import Answer, head, send
from luci_dl.serve.shelf import Shelf, ShelfFile
from luci_dl.serve.suspects import Suspects
from luci_dl.sources.context import ResolveContext

T = TypeVar("T")
QUESTIONS, MAX_QUESTIONS = 8, 500
"""Questions to servers upstream at the same time, and those that may wait for their turn with them."""
_RESOLVE = re.compile("/([^/]+/[^/]+)/resolve/([^/]+)/")
_OF_REPOSITORY = re.compile("/(?:v2/)?([^/]+/[^/]+)/(?:resolve|blobs)/")
ACCEL = "X-Luci-Accel"
"""A header by which a web server in front says that it sends files itself, and where it has the models folder."""


@frozen
class Wanted:
    """A file that a client asked for.

    Attributes:
        artifact: its name has no folder; size and SHA-256 are known.
        reference: what receipts and the page call it.
        repository: OWNER/REPO at the Hub, or NAMESPACE/MODEL of Ollama: what `--allow` is about.
        headers: for the client, beside those of the bytes.
    """

    artifact: Artifact
    reference: str
    repository: str
    access: Access
    headers: Mapping[str, str]


class Desk:
    """Finds and sends files.

    Args:
        allow: patterns of repositories that may be fetched, all of them without one; None: nothing is fetched.

    Attributes:
        upstream: the servers. Its calls block: see `ask`.
        ledger: what came in and went out.
        allow: as given.
        gate: who may have what.
        documents: what the Hub says.
        home: where routes keep what they need, in luci's own folder.
    """

    def __init__(
        self,
        shelf: Shelf,
        pulls: Pulls,
        suspects: Suspects,
        ledger: Ledger,
        upstream: ResolveContext,
        home: Path,
        folder: Path,
        allow: tuple[str, ...] | None,
    ) -> None:
        self.shelf = shelf
        self.pulls = pulls
        self.upstream = upstream
        self.home = home
        self.gate = Gate(self._ask_hub)
        self._suspects = suspects
        self.ledger = ledger
        self._folder = folder
        self.allow = allow
        self._questions = ThreadPoolExecutor(QUESTIONS, "luci-question")
        self._asking = 0
        self.documents = Documents(home, upstream, self.ask)
        self._learnt: dict[tuple[str, str], Access] = {}

    async def ask(self, question: Callable[[], T]) -> T:
        """Run what blocks in a thread. Raises: Busy; what it raises."""
        if self._asking >= MAX_QUESTIONS:
            raise Busy("too many questions to the servers upstream are waiting", "Try again in a moment.")
        self._asking += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._questions, question)
        finally:
            self._asking -= 1

    async def _ask_hub(self, url: str, headers: Mapping[str, str]) -> None:
        artifact = Artifact("file", (url,), headers=headers)
        await self.ask(partial(self.upstream.suggested_names, artifact))

    async def access_of(self, url: str, access: Access) -> Access:
        """Who may have what came from that address; where nobody noted it, as the Hub says of its repository.

        Raises: LuciError, when the Hub cannot be asked, and has never said it.
        """
        place = place_at(url, self.upstream.endpoints.hub)
        if access == "unknown" and place:
            await self.learn(*place)
        return self.known_access(url, access)

    async def learn(self, repository: str, revision: str) -> None:
        """Ask the Hub who may have the files of a repository. Raises: as `access_of`."""
        try:
            self._learnt[repository, revision] = (await self.documents.snapshot(repository, revision)).access
        except Refused:
            self._learnt.pop((repository, revision), None)

    def known_access(self, url: str, access: Access) -> Access:
        """The same, as far as the Hub was asked."""
        place = place_at(url, self.upstream.endpoints.hub)
        return self._learnt.get(place, access) if place and access == "unknown" else access

    def check_allowed(self, repository: str) -> None:
        """Raises: NotAllowed, when nothing of the repository may be fetched."""
        if self.allow is None:
            raise NotAllowed(f"{repository} is not here, and this server fetches nothing", "Ask its own server.")
        asked = repository.casefold()
        if self.allow and not any(fnmatchcase(asked, pattern.casefold()) for pattern in self.allow):
            raise NotAllowed(f"{repository} is not among what this server fetches", "Ask its own server.")

    async def send(self, request: web.Request, wanted: Wanted) -> web.StreamResponse:
        """Answer a GET or HEAD. Raises: LuciError, when nothing was sent yet."""
        artifact, sha256 = wanted.artifact, wanted.artifact.sha256 or ""
        access = await self.access_of(artifact.urls[0], wanted.access)
        headers = await self.gate.check(request, wanted.repository, access, artifact.urls[0])
        found = await self._find(sha256)
        if found is None:
            self.check_allowed(wanted.repository)
            if request.method == "HEAD":
                return head(request, Answer(artifact.size or 0, self._etag(sha256), wanted.headers))
            given = replace(artifact, headers=headers, access=wanted.access)
            found = await asyncio.to_thread(self.pulls.get, given, wanted.reference)
        if found.access == "gated":  # whoever names its digest need not have it
            await self._check(request, found)
        return await self._send_found(request, found, wanted.headers)

    async def send_known(self, request: web.Request, sha256: str) -> web.StreamResponse:
        """Answer a GET or HEAD for what is here, or on its way. Raises: LuciError, when nothing was sent yet."""
        found = await self._find(sha256)
        if found is None:
            raise NotFound(f"there is no file with the SHA-256 {sha256} here", "Ask its own server.")
        await self._check(request, found)
        return await self._send_found(request, found, {})

    async def _find(self, sha256: str) -> ShelfFile | Pull | None:
        """What is here, or on its way."""
        return await asyncio.to_thread(self.shelf.find, sha256) or self.pulls.find(sha256)

    async def _check(self, request: web.Request, found: ShelfFile | Pull) -> None:
        """Raises: Gated; NetworkError: as of the gate."""
        repository, access = repository_at(found.url, self.upstream.endpoints.hub), found.access
        await self.gate.check(request, repository, await self.access_of(found.url, access), found.url)

    def _etag(self, sha256: str, attempt: str = "") -> str:
        """After wrong bytes from upstream it is another one, and each unproved attempt has its own."""
        mark = self._suspects.mark(sha256)
        return f'"{".".join(filter(None, (sha256, mark, mark and attempt)))}"'

    def _answer(self, found: ShelfFile | Pull, headers: Mapping[str, str], attempt: str = "") -> Answer:
        sha256 = found.sha256
        return Answer(found.size, self._etag(sha256, attempt), headers, whole=bool(self._suspects.mark(sha256)))

    async def _send_found(
        self, request: web.Request, found: ShelfFile | Pull, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        if isinstance(found, Pull):
            return await self._send_pull(request, found, headers)
        return await self._send_file(request, found, headers)

    async def _send_file(self, request: web.Request, file: ShelfFile, headers: Mapping[str, str]) -> web.StreamResponse:
        answer, peer = self._answer(file, headers), peer_of(request)
        if request.method == "HEAD":
            return head(request, answer)
        prefix = request.headers.get(ACCEL) if peer.is_behind_proxy and file.path.is_relative_to(self._folder) else ""
        if prefix and "If-Range" not in request.headers and not answer.whole:
            self.ledger.sent(file.sha256, peer.address, head(request, answer).content_length or 0)
            path = f"{prefix}{quote(str(file.path.relative_to(self._folder)))}"
            return web.Response(headers={**answer.fields, "X-Accel-Redirect": path})
        return await send(request, answer, file, partial(self.ledger.sent, file.sha256, peer.address))

    async def _send_pull(self, request: web.Request, pull: Pull, headers: Mapping[str, str]) -> web.StreamResponse:
        self.pulls.note(pull)
        answer = self._answer(pull, headers, f"{pull.number:x}.{pull.attempt}")
        if request.method == "HEAD":
            return head(request, answer)
        client = peer_of(request).address
        with pull.read_by(client):
            return await send(request, answer, pull, partial(self.ledger.sent, pull.sha256, client))

    def verified(self, sha256: str) -> ShelfFile | None:
        """The file, if it is here and nobody can have wrong bytes of it from here. Reads the disk."""
        return None if self._suspects.mark(sha256) else self.shelf.find(sha256)

    def stored(self, but: Collection[str], at_most: int) -> int:
        """Bytes of all files that were pulled, and of those whose pull has stopped, without those with these digests.

        If that is more than `at_most`, the latter are removed, and do not count: nobody waits for them.
        """
        names = tuple(f"{FOLDER}/{sha256[:16]}/" for sha256 in but)
        parts = [part for part in partials((self._folder,)) if part.name.startswith(f"{FOLDER}/")]
        stopped = {part.name: part.total or part.done for part in parts if not part.name.startswith(names)}
        found = sum(file.size for file in self.shelf.files() if file.path.is_relative_to(self._folder / FOLDER))
        if stopped and found + sum(stopped.values()) > at_most:
            clean(self._folder, stopped.keys(), dry_run=False, token=CancelToken(), emit=ignore)
            return found
        return found + sum(stopped.values())

    def close(self) -> None:
        """Ask no more."""
        self._questions.shutdown(wait=False, cancel_futures=True)


def place_at(url: str, hub: str) -> tuple[str, str] | None:
    """OWNER/REPO and the revision of a file's address at the Hub; None for any other address."""
    found = _RESOLVE.match(url.removeprefix(hub)) if url.startswith(f"{hub}/") else None
    return (found[1], unquote(found[2])) if found else None


def repository_at(url: str, hub: str) -> str:
    """OWNER/REPO of a file's address at the Hub; empty for any other address."""
    found = _OF_REPOSITORY.match(url.removeprefix(hub)) if url.startswith(f"{hub}/") else None
    return found[1] if found else ""
