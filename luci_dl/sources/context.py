"""What a source that has to ask servers works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from luci_dl.cancel import CancelToken
from luci_dl.events import Emit, Event
from luci_dl.model import Model
from luci_dl.net.network import Network
from luci_dl.sources.endpoints import Endpoints

if TYPE_CHECKING:
    from luci_dl.net.response import Document

MOST = 16 << 20
"""Bytes of the largest answer that is read, unless its reader says otherwise."""


def _unheard(_event: Event) -> None:
    """Nobody listens."""


def _not_installed(_reference: str) -> None:
    """Nothing is."""


@dataclass(frozen=True)
class ResolveContext:
    """The servers, as the resolving of references sees them.

    Attributes:
        retries: failures in a row that are forgiven.
        installed: the model that was installed by that reference; None if none was: what can be said offline.
    """

    network: Network = field(default_factory=Network)
    endpoints: Endpoints = field(default_factory=Endpoints)
    token: CancelToken = field(default_factory=CancelToken)
    emit: Emit = _unheard
    retries: int = 10
    installed: Callable[[str], Model | None] = _not_installed

    def document(self, url: str, headers: Mapping[str, str], *, repository: str = "", at_most: int = MOST) -> Document:
        """A small answer of any status.

        Args:
            headers: go to the host of `url` alone.
            repository: as in an artifact: what `url` begins with, in a registry.
            at_most: bytes that it may have.

        Raises: NetworkError; Interrupted.
        """
        from luci_dl.net.documents import fetch_document  # not before a server is asked

        return fetch_document(
            self.network,
            url,
            headers,
            token=self.token,
            emit=self.emit,
            retries=self.retries,
            repository=repository,
            at_most=at_most,
        )
