"""What a source works with to ask servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from luci_dl.cancel import CancelToken
from luci_dl.events import Emit
from luci_dl.model import Model
from luci_dl.net.network import Network
from luci_dl.sources.endpoints import Endpoints

if TYPE_CHECKING:
    from luci_dl.net.document import Document

MAX_BYTES = 16 << 20
"""Default size limit of a small response."""


@dataclass(frozen=True)
class ResolveContext:
    """Everything besides the word and the options that resolving a reference depends on.

    Attributes:
        retries: consecutive failures allowed per request.
        may_be_tampered: servers may be asked in plain http: the user gave the digest, or accepts the risk.
        installed: returns the model that was installed by a reference, None if there is none; used when offline.
    """

    network: Network = field(default_factory=Network)
    endpoints: Endpoints = field(default_factory=Endpoints)
    token: CancelToken = field(default_factory=CancelToken)
    emit: Emit = field(default=lambda _event: None)
    retries: int = 10
    installed: Callable[[str], Model | None] = field(default=lambda _reference: None)
    may_be_tampered: bool = False

    def document(
        self, url: str, headers: Mapping[str, str], *, repository: str = "", at_most: int = MAX_BYTES
    ) -> Document:
        """Fetch a small response of any status.

        Args:
            headers: sent only to the host of `url`.
            repository: in a registry, the prefix of `url` that a token is valid for, as in `Artifact`.
            at_most: size limit in bytes.

        Raises: UsageError, for plain http that could be tampered with; NetworkError; Interrupted.
        """
        if not self.may_be_tampered:
            self.endpoints.refuse_plain_http(url)
        from luci_dl.net.documents import fetch_document  # slow to load, and most runs ask no server

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

    def suggested_names(self, url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
        """The file names that the server of `url` suggests, best first, unchecked. Raises: LuciError, as a fetch."""
        from luci_dl.net.documents import ask_about

        remote = ask_about(self.network, url, headers, token=self.token, emit=self.emit, retries=self.retries)
        return remote.names
