"""What all requests of a run share. Its libraries are loaded when the first byte is needed, and not before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from luci_dl.errors import NetworkError
from luci_dl.events import Emit
from luci_dl.net.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from luci_dl.net.client import Client


class Network:
    """The servers, as one run sees them.

    Args:
        limit_rate: bytes a second, of all connections together; None for no limit.
        offline: nothing may be asked.
        log: told of each request.

    Attributes:
        pace: of all connections.
        lost: hosts at which patience came to its end: the next file from there gets one attempt more, and no more.
    """

    def __init__(self, limit_rate: int | None = None, *, offline: bool = False, log: Emit | None = None) -> None:
        self.pace = RateLimiter(limit_rate)
        self.lost: set[str] = set()
        self.offline = offline
        self._log = log
        self._client: Client | None = None
        self._lock = threading.Lock()

    def client_for(self, url: str) -> Client:
        """What asks for `url`. Raises: NetworkError, when offline."""
        if self.offline:
            raise NetworkError(f"{url} would have to be asked, but luci is to stay offline", "Leave out --offline.")
        with self._lock:
            if self._client is None:
                from luci_dl.net.client import Client

                self._client = Client(log=self._log)
            return self._client
