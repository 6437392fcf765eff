"""What all requests of a run share. The libraries are loaded with the first request."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from luci_dl.errors import NetworkError
from luci_dl.events import Emit
from luci_dl.model import Artifact
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.slots import Slots
from luci_dl.net.trust import Trust
from luci_dl.net.tune import MAX_CONNECTIONS
from luci_dl.rate_limit import UNLIMITED, RateLimit

if TYPE_CHECKING:
    from luci_dl.net.client import Client

ASK_SERVERS = "Leave out --offline, and unset HF_HUB_OFFLINE if it is set."


class Network:
    """The access to servers for one run.

    Args:
        limit_rate: of all connections together.
        connections: for all files together; each file gets one at least.
        timeout: seconds without a byte after which a connection is given up; None for the defaults.
        offline: refuse every request.
        log: receives each request.

    Attributes:
        limiter, slots: of all connections.
        failed_hosts: hosts at which the retries ran out. The next file from there gets only one retry.
    """

    def __init__(
        self,
        limit_rate: RateLimit = UNLIMITED,
        *,
        connections: int = MAX_CONNECTIONS,
        timeout: float | None = None,
        offline: bool = False,
        log: Emit | None = None,
    ) -> None:
        self.limiter = RateLimiter(limit_rate)
        self.slots = Slots(connections)
        self.failed_hosts: set[str] = set()
        self.offline = offline
        self._timeout = timeout
        self._log = log
        self._client: Client | None = None
        self._trust = Trust()
        self._lock = threading.Lock()

    def prepare_for(self, url: str) -> None:
        """Begin to load the certificates, if requests to `url` need them. Does not wait."""
        if url.startswith("https:") and not self.offline:
            self._trust.begin()

    def head_start(self, artifact: Artifact) -> AbstractContextManager[None]:
        """Request the artifact now; a fetch in the block takes the response. Raises: NetworkError, when offline."""
        client, url = self.client_for(artifact.urls[0]), artifact.urls[0]
        from luci_dl.net.response import RangeRequest

        return client.head_start(RangeRequest(url, 0, None), artifact.headers, artifact.repository)

    def client_for(self, url: str) -> Client:
        """The client that may request `url`. Raises: NetworkError, when offline."""
        if self.offline:
            raise NetworkError(f"{url} is needed, but luci is offline", ASK_SERVERS)
        with self._lock:
            if self._client is None:
                self.prepare_for(url)
                from luci_dl.net.client import Client

                self._client = Client(read_s=self._timeout, log=self._log, trust=self._trust)
            return self._client
