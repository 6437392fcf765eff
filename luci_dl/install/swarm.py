"""Files from host to host. A server on the LAN that has a file names the other hosts that fetch it, and all send each
other what they have.

The bytes go straight into the part, whose SHA-256 decides as always; what does not come this way is fetched as without
a swarm. What is installed is sent to others while the run goes on, and then for a short time if somebody needs it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.part import Part
from luci_dl.errors import LuciError, NetworkError
from luci_dl.events import Progress, Sharing, Swarming, Warned, ignore
from luci_dl.install.context import InstallContext
from luci_dl.install.lan import PATIENCE_S, Lan, Server
from luci_dl.net.documents import read_document, with_retries
from luci_dl.net.network import Network
from luci_dl.net.rate_meter import RateMeter, SilenceWatch
from luci_dl.net.retry import AttemptFailed
from luci_dl.plan import Segment
from luci_dl.swarm.session import Session
from luci_dl.swarm.torrent import Metainfo, Torrent, Unfit

SMALLEST = 16 << 20
"""Bytes that must be missing of a file: fewer come sooner from the server alone."""
SILENCE_S = 10.0
"""A swarm that has brought nothing for so long is left."""
STAY_S, QUIET_S = 60.0, 2.0
"""What is installed is sent to others for so long at most when there is nothing else to do; and without a word."""
AGAIN_S = 5.0
"""How often a server is asked whether it has what it takes by now: the whole file, and its pieces."""
_TICK_S = 0.1
_MAX_METAINFO, _MAX_ANSWER = 8 << 20, 64 << 10

Report = Callable[[Progress], None]


class Ready(Exception):
    """There is a swarm now."""


class Swarm:
    """The swarms of one run. Any thread may call."""

    def __init__(self, lan: Lan, network: Network) -> None:
        self._lan = lan
        self._network = network
        self._session: Session | None = None
        self._members: dict[Part, _Member] = {}
        self._lock = threading.Lock()

    def fetch(self, part: Part, context: InstallContext, report: Report) -> bool:
        """Fetch what is missing of the part, as far as the swarm of a server brings it. `report` gets all progress.

        Returns: whether there may be bytes of it in the part. Raises: StorageError; Interrupted; Revoked.
        """
        try:
            offered = self._offered(part, context.token)
            return offered is not None and self._fetch_from(*offered, part, context, report)
        except NetworkError as error:
            context.emit(Warned(f"{part.artifact.name}: {error.message}; fetching from servers alone"))
            return True

    @contextmanager
    def awaited(self, part: Part, token: CancelToken) -> Iterator[Callable[[], None]]:
        """Ask the servers again and again while the block runs. Yields: raises Ready once there is a swarm."""
        over, ready = threading.Event(), threading.Event()

        def ask() -> None:
            with suppress(LuciError):
                while not (over.wait(AGAIN_S) or ready.is_set()):
                    if self._offered(part, token):
                        ready.set()

        def check() -> None:
            if ready.is_set():
                raise Ready

        start_thread(ask, "luci-await")
        try:
            yield check
        finally:
            over.set()

    def _offered(self, part: Part, token: CancelToken) -> tuple[Server, Metainfo] | None:
        """The first server that can name the pieces of the file and other hosts. Raises: Interrupted."""
        sha256, missing = part.artifact.sha256, (part.size or 0) - part.received
        if sha256 is None or part.artifact.access == "gated" or missing < SMALLEST:
            return None
        for server in self._lan.servers_with(part.artifact):
            if server.base.startswith("http:"):  # libtorrent has certificates of its own
                url = f"{server.base}/luci/v1/torrents/{sha256}"
                ask = partial(read_document, self._network.client_for(url), url, {}, _MAX_METAINFO, "")
                with suppress(NetworkError, Unfit):
                    found = with_retries(ask, url, token, ignore, 0, PATIENCE_S)
                    if found.status == 200:
                        return server, Metainfo.of(found.body, part.size or 0, BLOCK)
        return None

    def _fetch_from(
        self, server: Server, metainfo: Metainfo, part: Part, context: InstallContext, report: Report
    ) -> bool:
        """Returns: as `fetch`. Raises: NetworkError, when no more comes; and as `fetch`."""
        session = self._opened(server)
        part.forget(_whole_pieces(part, metainfo))  # who has written until now writes no more
        if partly := [each for each in _whole_pieces(part, metainfo) if each not in part.missing]:
            part.forget(partly)
        with part.lent() as fd:
            torrent = session.fetch(metainfo, fd, part.missing, f"{server.base}/luci/v1/files/")
            if torrent is None:
                return False
            member = _Member(self._network, server, session.port, part, torrent)
            context.emit(Swarming(part.artifact.name, server.host))
            try:
                start_thread(member.run, "luci-announce")
                self._take(part, torrent, context, report)
                self._members[part] = member
            except BaseException:
                member.over.set()
                raise
            finally:
                member.torrent = None
                torrent.leave()
        return True

    def _opened(self, server: Server) -> Session:
        """The session of the run. Raises: NetworkError."""
        with self._lock:
            if self._session is None:
                self._session = Session(urlsplit(server.base).hostname or "")
            return self._session

    def _take(self, part: Part, torrent: Torrent, context: InstallContext, report: Report) -> None:
        """Take over the pieces as they come. Raises: NetworkError; StorageError; Interrupted; Revoked."""
        meter, silence, reported, most = RateMeter(), SilenceWatch(SILENCE_S, time.monotonic()), -1, 0
        while True:
            self._limit()
            for segment in torrent.written():
                part.place(segment.start, segment.end or 0)
            part.check()
            received, now = part.received, time.monotonic()
            rate = meter.add(now, received)
            if received != reported:
                reported = received
                progress = Progress(part.artifact.name, received, part.size, rate)
                context.emit(progress)
                report(progress)
            if received == part.size:
                return
            most = max(most, torrent.downloaded)  # one that sends wrong pieces again and again brings nothing
            if silence.is_over(now, most, True):
                raise NetworkError(f"other hosts have sent nothing for {SILENCE_S:g} s")
            if context.token.wait(_TICK_S):
                context.token.check()

    def _limit(self) -> None:
        """Keep the user's limit, which may depend on the time of day, in both directions."""
        if self._session:
            rate = self._network.limiter.rate
            self._session.set_rates(rate, rate)

    def installed(self, parts: Sequence[Part]) -> None:
        """Send the files of these parts, which are at their targets now, to those that ask for them."""
        for part in parts:
            member, session = self._members.get(part), self._session
            if member and session:
                member.torrent = session.seed(member.metainfo, part.staging.target)
                member.wake.set()

    def stay(self, context: InstallContext) -> None:
        """Go on sending while others fetch what was installed, for a limited time. The token ends it at once."""
        began, said = time.monotonic(), False
        while (now := time.monotonic()) < began + STAY_S and not context.token.cancelled:
            wanted = [member for member in self._members.values() if member.torrent and member.fetching]
            if not wanted:
                return
            if not said and now > began + QUIET_S:
                said = True
                hosts = max(member.fetching for member in wanted)
                context.emit(Sharing(tuple(member.name for member in wanted), hosts, STAY_S))
            self._limit()
            context.token.wait(_TICK_S)

    def close(self) -> None:
        """Send no more."""
        for member in self._members.values():
            member.over.set()
            member.wake.set()
        if self._session:
            self._session.close()


class _Member:
    """This host in the swarm of one file: it announces itself and hears of the others until it is `over`.

    Attributes:
        torrent: None between the last byte and the rename.
        fetching: how many others have not got the whole file.
        wake: set to announce now.
    """

    def __init__(self, network: Network, server: Server, port: int, part: Part, torrent: Torrent) -> None:
        self.torrent: Torrent | None = torrent
        self.metainfo = torrent.metainfo
        self.name = part.artifact.name
        self.fetching = 0
        self.over = threading.Event()
        self.wake = threading.Event()
        self._part = part
        self._url = f"{server.base}/luci/v1/announce/{part.artifact.sha256}?port={port}&missing="
        self._client = network.client_for(self._url)

    def run(self) -> None:
        """Announce again and again. A server that is away is asked again, and the hosts go on without it."""
        while not self.over.is_set():
            self.wake.clear()
            interval = 1.0
            with suppress(LuciError, AttemptFailed, ValueError, TypeError, KeyError, OverflowError):
                interval = self._announce()
            self.wake.wait(interval)

    def _announce(self) -> float:
        """Returns: seconds until the next time. Raises: LuciError; others for an answer that is none."""
        missing = (self._part.size or 0) - self._part.received
        url = f"{self._url}{missing}"
        answer: Any = read_document(self._client, url, {}, _MAX_ANSWER, "").json()
        self.fetching = int(answer["fetching"])
        for address, port in answer["hosts"]:
            if self.torrent:
                self.torrent.connect(str(address), int(port))
        return min(60.0, max(1.0, float(answer["interval"])))


def _whole_pieces(part: Part, metainfo: Metainfo) -> list[Segment]:
    """What is missing of the part, each to the beginning and the end of a piece."""
    piece, size, found = metainfo.piece, part.size or 0, list[Segment]()
    for each in part.missing:
        start, end = each.start // piece * piece, min(size, -(-(each.end or size) // piece) * piece)
        found.append(Segment(start, end))
    return found
