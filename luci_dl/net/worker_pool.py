"""The connections of one fetch: how many there are, and which piece each one fetches."""

from __future__ import annotations

import threading
import time
from collections import Counter

from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.job import Job
from luci_dl.net.mirrors import Address, Mirrors
from luci_dl.net.pieces import Pieces
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.retry import OutOfResources, Remedy
from luci_dl.net.situation import PATIENCE, Situation
from luci_dl.net.slots import Slots
from luci_dl.net.transfer import Transfer
from luci_dl.net.tune import Load, Tuner
from luci_dl.net.worker import Worker
from luci_dl.plan import Lease, Sink

BLOCK_BYTES = 4 << 20
"""Bytes that all connections together read at a time."""
QUEUE_FACTOR, QUEUE_S = 1.4, 0.005
"""A connection that took this much longer to be made than another one had to wait in a queue before the line."""


class WorkerPool:
    """The workers of one fetch. Only the thread that runs the fetch may call its methods.

    Args:
        slots: of all fetches of the run.
        threads: whether every worker has a thread; else one at a time works in `wait`.
    """

    def __init__(
        self,
        client: Client,
        artifact: Artifact,
        sink: Sink,
        tuner: Tuner,
        limiter: RateLimiter,
        slots: Slots,
        threads: bool,
    ) -> None:
        self._wakeup = threading.Event()
        self.mirrors = Mirrors(artifact.urls if artifact.provable else artifact.urls[:1])
        self._client = client
        self._artifact = artifact
        self._sink = sink
        self._tuner = tuner
        self._limiter = limiter
        self._slots = slots
        self._threads = threads
        self._pieces = Pieces(sink, tuner.most)
        self._transfers: list[Transfer] = []
        self._ended = (0.0, 0.0, 0.0)  # `Transfer.times` of those that have ended, added up
        self._round_trip_s = 0.0
        self._supports_ranges: bool | None = None  # False for good once the server has shown it
        self._whole_file = False  # request no ranges at all, since they bring nothing
        self._probe = False  # an address did not serve a range: find out if it serves the whole file

    def __len__(self) -> int:
        return len(self._transfers)

    @property
    def waits(self) -> bool:
        """Whether all of them wait for the network, not for the disk or the rate limit."""
        return all(transfer.is_waiting for transfer in self._transfers)

    def reap(self, now: float) -> list[tuple[str, Exception | None]]:
        """Remove the workers that ended or stalled. Returns: the address and the error of each."""
        ended: list[tuple[str, Exception | None]] = []
        for transfer in list(self._transfers):
            stalled = transfer.update(now) and not transfer.worker.done
            self._learn(transfer, now)
            if stalled or transfer.worker.done:
                self._remove(transfer, now)
                url, received = transfer.address.url, transfer.worker.received
                self.mirrors.record_transfer(url, received, now - transfer.began)
                ended.append((url, transfer.end(now, stalled=stalled)))
            if stalled:
                transfer.worker.stop()
        return ended

    def _learn(self, transfer: Transfer, now: float) -> None:
        worker = transfer.worker
        if worker.supports_ranges is not None and self._supports_ranges is not False:
            self._supports_ranges = worker.supports_ranges
        if worker.round_trip_s:
            self._round_trip_s = min(self._round_trip_s or worker.round_trip_s, worker.round_trip_s)
        if worker.received and worker.served_range:
            self._probe = False
        transfer.learn(now)

    def may_pass(self, url: str) -> bool:
        """Whether an error says little of the address: it serves others, or has before the last `PATIENCE` failures."""
        if any(transfer.address.url == url for transfer in self._transfers):
            return True
        return any(each.served and each.barren <= PATIENCE for each in self.mirrors.in_use if each.url == url)

    def apply(self, remedy: Remedy, url: str) -> None:
        """Change the requests of the next workers. What the others are receiving is not given up for that.

        If ranges bring nothing, again and again, then perhaps other requests do. The bytes that are there are given up
        only once that was seen `PATIENCE` times.
        """
        if remedy is Remedy.NO_RANGES:
            self._supports_ranges = False
            self._probe |= not self._transfers
        if remedy is Remedy.PROBE:
            self._probe = True
        for address in self.mirrors.in_use:
            if address.url == url and not address.range_served:
                self._probe |= address.barren > PATIENCE
                self._whole_file |= self._sink.received > 0 and address.in_vain >= PATIENCE

    def scale(self, now: float) -> None:
        """Start workers until there are as many as wanted, or no piece is left. Raises: OutOfResources."""
        wanted, fills_line = self._wanted(now), self._pieces.fills_line(len(self), now)
        self._pieces.hand_over(self._transfers, self._round_trip_s, now)
        if len(self) >= wanted and self._sink.has_gap:
            self._drop(max(self._transfers, key=lambda transfer: transfer.lease.pos), now)
        while len(self) < wanted:
            connections = Counter(transfer.address.url for transfer in self._transfers)
            address = self.mirrors.pick(connections)
            if self._is_asking(address) or not self._slots.take(first=not self._transfers):
                return
            try:
                lease = self._claim(wanted, fills_line, now)
                if lease:
                    self._start(lease, address, connections[address.url], wanted, now)
            except BaseException:
                self._slots.give_back()
                raise
            if not lease:
                self._slots.give_back()
                return

    def _is_asking(self, address: Address) -> bool:
        """Whether a worker is finding out where the address redirects to now: the others wait for that."""
        waits = address.redirects and not address.location
        return waits and any(each.asks_origin for each in self._transfers if each.address is address)

    def _start(self, lease: Lease, address: Address, beside: int, wanted: int, now: float) -> None:
        job = Job(
            artifact=self._artifact,
            url=address.url,
            sink=self._sink,
            lease=lease,
            situation=self._situation(address, beside),
            whole_file=self._whole_file,
            probe=self._probe,
            location=address.location,
            block_size=BLOCK_BYTES // wanted,
            limiter=self._limiter,
        )
        worker = Worker(self._client, job, self._wakeup)
        if self._threads or self._transfers:
            try:
                worker.start()
            except OutOfResources:
                self._sink.revoke(lease)
                raise
        self._transfers.append(Transfer(worker, address, now, self._client.timeout))

    def _situation(self, address: Address, beside: int) -> Situation:
        return Situation(
            name=self._artifact.name,
            size=self._sink.size,
            provable=self._sink.provable,
            only_url=len(self.mirrors.urls) == 1,
            beside=beside,
            served=address.served,
            ranges_served=address.range_served,
            located=address.location is not None,
            failures=address.barren,
        )

    def wait(self, seconds: float) -> None:
        """Wait until a response comes or a worker ends. One without a thread fetches its next block meanwhile."""
        here = next((each.worker for each in self._transfers if not each.worker.has_thread), None)
        if here:
            here.work()
        else:
            self._wakeup.wait(seconds)
            self._wakeup.clear()

    def settle(self, seconds: float) -> None:
        """Wait for the workers, which have nothing left to write: their connections can be used again."""
        deadline = time.monotonic() + seconds
        while not all(transfer.worker.done for transfer in self._transfers) and time.monotonic() < deadline:
            self.wait(deadline - time.monotonic())

    def stop(self) -> None:
        """Stop all workers, without waiting for them."""
        for transfer in self._transfers:
            transfer.worker.stop()
            self._slots.give_back()
        self._transfers.clear()

    def _wanted(self, now: float) -> int:
        sink = self._sink
        if not self._supports_ranges or sink.size is None:
            return 1
        is_receiving = any(transfer.worker.received for transfer in self._transfers)
        if all(address.barren for address in self.mirrors.in_use) and not is_receiving:
            return 1  # one is enough to find out whether bytes come again
        if not (sink.provable or sink.validator(self._artifact.urls[0])):
            return 1
        times = [self._ended, *(transfer.times(now) for transfer in self._transfers)]
        active_s, network_s, sink_s = map(sum, zip(*times, strict=True))
        left = sink.size - sink.received
        responding = [each for each in self._transfers if each.worker.responded]
        newest = max(responding, key=lambda each: each.began, default=None)
        load = Load(
            received=sink.received,
            left=left,
            active_s=active_s,
            network_s=network_s,
            sink_s=sink_s,
            round_trip_s=self._round_trip_s,
            responding=len(responding),
            queueing=newest is not None and newest.worker.round_trip_s > QUEUE_FACTOR * self._round_trip_s + QUEUE_S,
        )
        return self._limiter.connections(self._tuner.update(now, load))

    def _claim(self, wanted: int, fills_line: bool, now: float) -> Lease | None:
        """The next piece; else, unless the line is full, that of a crawling worker, or a part of one on its way."""
        self._pieces.share_open(self._transfers, wanted)
        lease = self._pieces.claim(wanted)
        if lease or fills_line:
            return lease
        crawling = self._pieces.crawling(self._transfers, self._round_trip_s, now)
        if crawling:
            self._drop(crawling, now)
        if crawling or self._pieces.share_last(self._transfers, self._round_trip_s, now):
            return self._pieces.claim(wanted)
        return None

    def _drop(self, transfer: Transfer, now: float) -> None:
        self._remove(transfer, now)
        transfer.worker.stop()

    def _remove(self, transfer: Transfer, now: float) -> None:
        self._transfers.remove(transfer)
        self._slots.give_back()
        times = zip(self._ended, transfer.times(now), strict=True)
        self._ended = tuple(before + more for before, more in times)  # type: ignore[assignment]
