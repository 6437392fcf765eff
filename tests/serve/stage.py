"""The page without files and pulls: what it reports is set by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import Queue

from luci_dl.cancel import CancelToken
from luci_dl.errors import LuciError
from luci_dl.model import Access
from luci_dl.serve.board import Board
from luci_dl.serve.ledger import Ledger
from luci_dl.serve.page import Page
from luci_dl.serve.server import Binding, run
from luci_dl.serve.shelf import ShelfFile
from luci_dl.serve.status import Facts


def digest(name: str) -> str:
    """The SHA-256 that stands for a file of that name."""
    return sha256(name.encode()).hexdigest()


def file(
    name: str,
    size: int,
    reference: str = "hf:O/R",
    access: Access = "public",
    installed: str = "2026-11-20T10:00:00+00:00",
) -> ShelfFile:
    """An installed file."""
    return ShelfFile(digest(name), Path("/models") / name, size, reference, installed, access, "", 0)


@dataclass
class Pulled:
    """A file on its way."""

    name: str
    size: int
    received: int = 0
    clients: Sequence[str] = ()
    reference: str = "hf:O/R"
    access: Access = "public"
    error: LuciError | None = None

    @property
    def sha256(self) -> str:
        return digest(self.name)

    @property
    def path(self) -> Path:
        return Path("/models/pulled") / self.name


@dataclass
class Stage:
    """What the page reports; tests change it while the page is shown."""

    ledger: Ledger = field(default_factory=Ledger)
    files: list[ShelfFile] = field(default_factory=list)
    running: list[Pulled] = field(default_factory=list)
    pull: bool = True
    hub_state: str = "ok"
    since: str = "2026-11-27T09:12:00+00:00"

    def facts(self) -> Facts:
        return Facts(
            since=self.since,
            pull=self.pull,
            hub="https://huggingface.co",
            hub_state=self.hub_state,
            files=[*self.files],
            running=[*self.running],
            account=self.ledger.account(2),
        )


@contextmanager
def shown(stage: Stage, port: int = 0) -> Iterator[int]:
    """The page of a stage, by the real server in a thread. Yields: its port."""
    token, addresses = CancelToken(), Queue[str]()
    routes = Page(Board(stage.facts)).routes()
    arguments = (Binding("127.0.0.1", port), None, routes, token, lambda: None, addresses.put)
    thread = threading.Thread(target=run, args=arguments)
    thread.start()
    try:
        yield int(addresses.get(timeout=20).rpartition(":")[2])
    finally:
        token.cancel()
        thread.join()
