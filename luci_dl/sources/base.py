"""What a source is, and the tuple of all sources.

A source knows one kind of reference. It is a module of this folder with the names that `Source` lists; adding one takes
that module and one entry in `SOURCES`. It imports whatever talks to servers inside `resolve`, because the tuple is
loaded at every start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from luci_dl.model import Model
from luci_dl.sources import url
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.docker import source as docker
from luci_dl.sources.endpoints import Endpoints, Server
from luci_dl.sources.huggingface import source as huggingface
from luci_dl.sources.ollama import source as ollama
from luci_dl.sources.s3 import source as s3
from luci_dl.sources.selection import FileSelection


class Source(Protocol):
    """One kind of reference.

    Attributes:
        DIGEST_ORIGIN: who states the digests of its files: "hub", "registry", "bucket" or "user", as in `WouldInstall`.
        TAKES_PATTERNS: --all-files, --include and --exclude apply.
        TAKES_HEADERS: --header applies.
        RECEIPT_IS_ENOUGH: the address in a receipt is all it takes to fetch the same file again.
    """

    DIGEST_ORIGIN: str
    TAKES_PATTERNS: bool
    TAKES_HEADERS: bool
    RECEIPT_IS_ENOUGH: bool

    def claims(self, word: str, endpoints: Endpoints) -> bool:
        """True for a reference of this kind, well-formed or not."""

    def canonical(self, word: str, endpoints: Endpoints) -> str:
        """The one form of all spellings of a claimed word, as receipts keep it. Raises: UsageError; ResolveError."""

    def is_pinned(self, reference: str) -> bool:
        """Whether a canonical reference means the same bytes for ever."""

    def targets(self, reference: str) -> Iterable[str]:
        """The targets that a canonical reference can have, as far as it alone shows that."""

    def resolve(self, word: str, selection: FileSelection, context: ResolveContext) -> Model:
        """The model that a claimed word means. Raises: ResolveError; UsageError; NetworkError; Interrupted."""

    def servers(self, endpoints: Endpoints) -> Iterable[Server]:
        """The servers that `luci doctor` checks, none if the reference itself names the server."""


SOURCES: tuple[Source, ...] = (huggingface, ollama, docker, s3, url)
"""The first one that claims a word resolves it; `url` claims every address that the others leave."""

_DEFAULT = Endpoints()


def source_of(word: str, endpoints: Endpoints = _DEFAULT) -> Source | None:
    """The source of a reference; None for a word that can only be a name in the catalog or a file."""
    if ":" not in word and "/" not in word:  # so that the names of most commands load no parser
        return None
    return next((source for source in SOURCES if source.claims(word, endpoints)), None)
