"""What all routes share: a file that was asked for is found here, or fetched, and sent to whoever may have it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from aiohttp import web

from luci_dl.errors import NotFound
from luci_dl.frozen import frozen
from luci_dl.model import Access, Artifact
from luci_dl.serve.gate import Gate
from luci_dl.serve.ledger import Ledger
from luci_dl.serve.peer import peer_of
from luci_dl.serve.pull import Pull
from luci_dl.serve.pulls import FOLDER, NotAllowed, Pulls
from luci_dl.serve.sending import Answer, head, send
from luci_dl.serve.shelf import Shelf, ShelfFile
from luci_dl.serve.suspects import Suspects
from luci_dl.sources.context import ResolveContext

T = TypeVar("T")
QUESTIONS = 8
"""Questions to servers upstream at the same time."""
_RESOLVE = re.compile("/([^/]+/[^/]+)/resolve/")
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

    async def ask(self, question: Callable[[], T]) -> T:
        """Run what blocks in a thread. Raises: what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._questions, question)

    async def _ask_hub(self, url: str, headers: Mapping[str, str]) -> None:
        artifact = Artifact("file", (url,), headers=headers)
        await self.ask(partial(self.upstream.suggested_names, artifact))

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
        headers = await self.gate.check(request, wanted.repository, wanted.access, artifact.urls[0])
        if file := await asyncio.to_thread(self.shelf.find, sha256):
            return await self._send_file(request, file, wanted.headers)
        pull = self.pulls.find(sha256)
        if pull is None:
            self.check_allowed(wanted.repository)
            if request.method == "HEAD":
                return head(request, Answer(artifact.size or 0, self._etag(sha256), wanted.headers))
            given = replace(artifact, headers=headers, access=wanted.access)
            pull = await asyncio.to_thread(self.pulls.get, given, wanted.reference)
        return await self._send_pull(request, pull, wanted.headers)

    async def send_known(self, request: web.Request, sha256: str) -> web.StreamResponse:
        """Answer a GET or HEAD for what is here, or on its way. Raises: LuciError, when nothing was sent yet."""
        file = await asyncio.to_thread(self.shelf.find, sha256)
        pull = None if file else self.pulls.find(sha256)
        if found := file or pull:
            repository = repository_at(found.url, self.upstream.endpoints.hub)
            await self.gate.check(request, repository, found.access, found.url)
        if file:
            return await self._send_file(request, file, {})
        if pull:
            return await self._send_pull(request, pull, {})
        raise NotFound(f"there is no file with the SHA-256 {sha256} here", "Ask its own server.")

    def _etag(self, sha256: str, attempt: str = "") -> str:
        """After wrong bytes from upstream it is another one, and each unproved attempt has its own."""
        mark = self._suspects.mark(sha256)
        return f'"{".".join(filter(None, (sha256, mark, mark and attempt)))}"'

    def _answer(self, found: ShelfFile | Pull, headers: Mapping[str, str], attempt: str = "") -> Answer:
        sha256 = found.sha256
        return Answer(found.size, self._etag(sha256, attempt), headers, whole=bool(self._suspects.mark(sha256)))

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

    def stored(self) -> int:
        """Bytes of all files that were pulled."""
        return sum(file.size for file in self.shelf.files() if file.path.is_relative_to(self._folder / FOLDER))

    def close(self) -> None:
        """Ask no more."""
        self._questions.shutdown(wait=False, cancel_futures=True)


def repository_at(url: str, hub: str) -> str:
    """OWNER/REPO of a file's address at the Hub; empty for any other address."""
    found = _RESOLVE.match(url.removeprefix(hub)) if url.startswith(f"{hub}/") else None
    return found[1] if found else ""
