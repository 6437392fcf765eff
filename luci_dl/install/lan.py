"""Servers on the LAN, such as `luci serve`: they are asked for bytes before the uplink, and believed in nothing.

One server at a time sends a file, so that the uplink is idle while the LAN has it. What it does decides:

    it sends nothing for `PATIENCE_S`, however often it is      it is away: the others go on from the bytes that are
    asked: silent, refusing, resetting, restarting              there. Each `AGAIN_S` it is asked again beside them, and
                                                                if a byte comes, it takes over
    it says why it cannot send this file: it has not got it,    the others go on at once, and it is not asked for this
    may not, cannot get it, or got a wrong one; or it sends     file again
    it from the beginning again and again
    it sends wrong bytes                                        the digest shows it: `second_try` fetches others, and
                                                                does not ask the LAN
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from luci_dl.cancel import start_thread
from luci_dl.disk.part import Part
from luci_dl.errors import IntegrityError, NetworkError, ResolveError, StorageError
from luci_dl.events import Emit, Serving
from luci_dl.frozen import frozen
from luci_dl.model import Artifact
from luci_dl.net.documents import read_beginning
from luci_dl.net.network import Network
from luci_dl.net.origin import host_of
from luci_dl.net.retry import AttemptFailed, Silent
from luci_dl.sources.endpoints import Endpoints

PATIENCE_S = 5.0
"""A server that has sent nothing for so long is away."""
AGAIN_S = 60.0
"""One that is away is asked again after this time."""


class FetchFrom(Protocol):
    """Fetches what is missing of a part from the addresses of the artifact."""

    def __call__(self, artifact: Artifact, tick: Callable[[], None] = ..., patience: float | None = None) -> None:
        """Args: `tick`: called repeatedly, may raise to end it; `patience`: as of `Fetch`. Raises: LuciError."""


class Server:
    """One of them, as it has behaved in this run. Any thread may call.

    Attributes:
        is_there: nothing that happened since shows that it is away.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self.host = host_of(base)
        self.is_there = True
        self._refused: set[str] = set()
        self._asked = 0.0  # when it was away
        self._lock = threading.Lock()

    def leave(self) -> None:
        """Note that it is away."""
        self.is_there, self._asked = False, time.monotonic()

    def refuse(self, artifact: Artifact) -> None:
        """Note that it cannot send that file."""
        self._refused.add(artifact.best_hex)

    def may_have(self, artifact: Artifact) -> bool:
        return artifact.best_hex not in self._refused

    def is_due(self) -> bool:
        """Whether it is time to ask it again; to one caller."""
        with self._lock:
            is_due = not self.is_there and time.monotonic() - self._asked >= AGAIN_S
            self._asked = time.monotonic() if is_due else self._asked
            return is_due


@frozen
class Offer:
    """A file as a server on the LAN may have it."""

    server: Server
    artifact: Artifact


class Lan:
    """The servers on the LAN for one run. Any thread may call."""

    def __init__(self, endpoints: Endpoints, network: Network) -> None:
        self._endpoints = endpoints
        self._network = network
        self._servers = [Server(base) for base in endpoints.lan]

    def offer(self, artifact: Artifact) -> Offer | None:
        """The file at the first server that may have it; those that are away are asked again when it is time.

        None if there is no such server, or no digest could prove its bytes.
        """
        for server in self._servers:
            if not server.may_have(artifact) or not (there := self._at(server.base, artifact)):
                continue
            if server.is_there:
                return Offer(server, there)
            if server.is_due():
                with suppress(StorageError):
                    start_thread(partial(self._ask_again, Offer(server, there)), "luci-lan")
        return None

    def servers_with(self, artifact: Artifact) -> list[Server]:
        """Those that are there and may have it."""
        return [server for server in self._servers if server.is_there and server.may_have(artifact)]

    def _at(self, base: str, artifact: Artifact) -> Artifact | None:
        """The file as a server with that address has it."""
        hub, ollama = f"{self._endpoints.hub}/", f"{self._endpoints.ollama}/v2/"
        is_private = base.startswith("https:")  # a token would be read on the way otherwise
        if not artifact.provable or (artifact.access == "gated" and not is_private):
            return None
        for url in artifact.urls:
            if url.startswith(hub) and "/resolve/" in url:
                headers = self._endpoints.hub_headers if is_private else {}
                return _moved(artifact, base + url.removeprefix(self._endpoints.hub), headers)
            if url.startswith(ollama):
                return _moved(artifact, base + url.removeprefix(self._endpoints.ollama), {})
        return _moved(artifact, f"{base}/luci/v1/files/{artifact.sha256}", {}) if artifact.sha256 else None

    def _ask_again(self, offer: Offer) -> None:
        """Find out whether the server sends the first byte of the file."""
        try:
            read_beginning(self._network.client_for(offer.artifact.urls[0]), offer.artifact, 1)
        except AttemptFailed as failure:
            if failure.final is None:
                return
            offer.server.refuse(offer.artifact)
        except (ResolveError, IntegrityError):
            offer.server.refuse(offer.artifact)
        except (NetworkError, StorageError):
            return
        offer.server.is_there = True

    def fetch(self, part: Part, fetch: FetchFrom, emit: Emit) -> bool:
        """Fetch what is missing of the part: from the LAN while it sends, from its own addresses at other times.

        Returns: whether there may be bytes of the LAN in it. Raises: LuciError.
        """
        turns = _Turns(self, part, fetch, emit)
        turns.run()
        return turns.used


class _Back(Exception):
    """A server on the LAN sends again."""


class _Turns:
    """The fetch of one part, in turns."""

    def __init__(self, lan: Lan, part: Part, fetch: FetchFrom, emit: Emit) -> None:
        self.used = False
        self._lan = lan
        self._part = part
        self._artifact = part.artifact
        self._fetch = fetch
        self._emit = emit
        self._host = ""  # that sends, as far as the user knows
        self._reason = ""  # why it is another one than before

    def run(self) -> None:
        while not (self._from_lan(offer) if (offer := self._lan.offer(self._artifact)) else self._from_origin()):
            pass

    def _from_origin(self) -> bool:
        """Returns: whether the file is complete; False when the LAN takes over."""
        self._say(host_of(self._artifact.urls[0]))
        try:
            self._fetch(self._artifact, self._look_for_lan)
        except _Back:
            self._reason = "it sends again"
            return False
        return True

    def _look_for_lan(self) -> None:
        if self._lan.offer(self._artifact):
            raise _Back

    def _from_lan(self, offer: Offer) -> bool:
        """Returns: whether the file is complete; False when the server cannot complete it."""
        server, before = offer.server, self._part.received

        def note() -> None:
            if self._part.received != before:
                self.used = True
                self._say(server.host)

        try:
            self._fetch(offer.artifact, note, PATIENCE_S)
            note()
        except Silent as error:
            server.leave()
            self._reason = error.message
        except (NetworkError, ResolveError, IntegrityError) as error:
            server.refuse(self._artifact)
            self._reason = error.message
        else:
            return True
        return False

    def _say(self, host: str) -> None:
        """Report who sends, if that is news: that a file comes from its own address is none."""
        if host != self._host and (self._reason or host != host_of(self._artifact.urls[0])):
            self._emit(Serving(self._artifact.name, host, self._reason))
        self._host, self._reason = host, ""


def _moved(artifact: Artifact, url: str, headers: dict[str, str]) -> Artifact:
    return replace(artifact, urls=(url,), headers=headers, repository="")
