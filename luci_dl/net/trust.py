"""The certificates that the requests of one run trust: loaded once, and early."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from luci_dl.cancel import start_thread

if TYPE_CHECKING:
    from ssl import SSLContext


class Trust:
    """Loads the certificates when they are needed, or before. Thread-safe."""

    def __init__(self) -> None:
        self._begun = False
        self._context: SSLContext | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Load them in a thread. OpenSSL takes 30 ms for that, in which other threads can load the rest of luci."""
        if self._begun:
            return
        self._begun = True
        with suppress(Exception):  # whatever it is, `context` raises it to those who need them
            start_thread(self._load, "luci-certificates")

    def _load(self) -> None:
        with suppress(Exception):
            self.context()

    def context(self) -> SSLContext:
        """What verifies servers. Raises: as `trusted_certificates`."""
        with self._lock:
            if self._context is None:
                from luci_dl.net.certificates import trusted_certificates

                self._context = trusted_certificates()
            return self._context
