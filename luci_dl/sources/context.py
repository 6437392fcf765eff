"""What a source works with to ask servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, TypeVar

from luci_dl.cancel import CancelToken
from luci_dl.errors import NetworkError
from luci_dl.events import Emit, ignore
from luci_dl.frozen import frozen
from luci_dl.model import Artifact, Model
from luci_dl.net.network import ASK_SERVERS, Network
from luci_dl.sources.endpoints import Endpoints

if TYPE_CHECKING:
    from luci_dl.net.client import Client
    from luci_dl.net.document import Document

T = TypeVar("T")

MAX_BYTES = 16 << 20
"""Default size limit of a small response."""


@frozen
class ResolveContext:
    """Everything besides the word and the options that resolving a reference depends on.

    Attributes:
        retries: consecutive failures allowed per request.
        may_be_tampered: servers may be asked in plain http: the user gave the digest, or accepts the risk.
        patience: seconds after which a server without an answer counts as away; None: only `retries` count.
        installed: returns the model that was installed by a reference, None if there is none; used when offline.
    """

    network: Network = field(default_factory=Network)
    endpoints: Endpoints = field(default_factory=Endpoints)
    token: CancelToken = field(default_factory=CancelToken)
    emit: Emit = ignore
    retries: int = 10
    installed: Callable[[str], Model | None] = field(default=lambda _reference: None)
    may_be_tampered: bool = False
    patience: float | None = None

    def installed_offline(self, server: str, reference: str, *others: str) -> Model:
        """The model that was installed by the reference, or by one of the others. Raises: NetworkError."""
        model = next(filter(None, map(self.installed, (reference, *others))), None)
        if model is None:
            message = f"{reference} is not installed, and {server} cannot be asked for it offline"
            raise NetworkError(message, ASK_SERVERS)
        return model

    def ask(self, base: str, mirrors: Sequence[str], what: str, attempt: Callable[[ResolveContext, str], T]) -> T:
        """The answer of the server at `base`; if it is away, that of a mirror or of the LAN.

        Args:
            what: the answer is, for the warning then.
            attempt: asks the server at the address.

        Raises: what an attempt at `base` raises; NetworkError, when nobody can be reached; Interrupted.
        """
        if not (mirrors or self.endpoints.lan) or self.network.offline:
            return attempt(self, base)
        from luci_dl.sources.away import ask  # most have only the Hub

        return ask(base, mirrors, self, what, attempt)

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
        from luci_dl.net.documents import read_document  # slow to load, and most runs ask no server

        return self._ask(url, lambda client: read_document(client, url, headers, at_most, repository))

    def suggested_names(self, artifact: Artifact) -> tuple[str, ...]:
        """The file names that its server suggests, best first, unchecked. Raises: LuciError, as a fetch."""
        from luci_dl.net.documents import ask_about

        return self._ask(artifact.urls[0], lambda client: ask_about(client, artifact)).names

    def beginning(self, artifact: Artifact, at_most: int) -> bytes:
        """The first bytes of a file on its server. Raises: LuciError, as a fetch."""
        from luci_dl.net.documents import read_beginning

        return self._ask(artifact.urls[0], lambda client: read_beginning(client, artifact, at_most))

    def _ask(self, url: str, attempt: Callable[[Client], T]) -> T:
        from luci_dl.net.documents import with_retries

        client = self.network.client_for(url)
        return with_retries(lambda: attempt(client), url, self.token, self.emit, self.retries, self.patience)
