"""The connections of one fetch: how many there are, and which segment each one fetches."""

from __future__ import annotations

import threading
from collections import Counter

from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.mirrors import Mirrors
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.rate_meter import RateMeter, StallWatch
from luci_dl.net.retry import AttemptFailed, OutOfResources, Remedy
from luci_dl.net.situation import PATIENCE, Situation
from luci_dl.net.tune import Tuner
from luci_dl.net.worker import Job, Worker
from luci_dl.plan import BUFFER, Lease, Sink

WINDOW_BYTES = 128 << 20
"""Segments reach no further than this beyond the contiguous beginning, unless one connection fetches the whole file."""
MIN_SEGMENT_BYTES = 1 << 20
"""Only the last segment of a file may be smaller."""
BLOCK_BYTES = 4 << 20
"""Bytes that all connections together read at a time."""
SLOW_FACTOR = 4.0
"""A connection that is slower than the others by this factor loses its segment."""
TAKEOVER_S = 1.0
"""A segment is neither split nor taken over when it will be complete sooner, or was begun later, than this."""


class WorkerStats:
    """A worker and its rate."""

    def __init__(self, worker: Worker, now: float, timeout: float | None) -> None:
        self.worker = worker
        self.since = now
        self.rate = 0.0
        self._meter = RateMeter()
        self._stall = StallWatch(timeout)

    def update(self, now: float) -> bool:
        """Measure the rate. Returns: whether the worker has stalled."""
        self.rate = self._meter.add(now, self.worker.received)
        has_responded = self.worker.supports_ranges is not None  # until then, the client's own limit applies
        return self._stall.is_stalled(now, self.worker.received, self.worker.reading and has_responded)

    def left_s(self, now: float) -> float:
        """Seconds until its segment is complete, at its rate; 0 when it began too recently to tell."""
        lease = self.worker.lease
        left = (lease.end or lease.pos) - lease.pos
        if self.rate:
            return left / self.rate
        return float("inf") if left and now - self.since > TAKEOVER_S else 0.0


class WorkerPool:
    """The workers of one fetch. Only the thread that runs the fetch may call its methods.

    Attributes:
        wakeup: set by a worker when it ends.
    """

    def __init__(self, client: Client, artifact: Artifact, sink: Sink, tuner: Tuner, limiter: RateLimiter) -> None:
        self.wakeup = threading.Event()
        self.mirrors = Mirrors(artifact.urls if artifact.provable else artifact.urls[:1])
        self._client = client
        self._artifact = artifact
        self._sink = sink
        self._tuner = tuner
        self._limiter = limiter
        self._stats: list[WorkerStats] = []
        self._typical_rate = 0.0  # bytes per second of one connection
        self._supports_ranges: bool | None = None  # False for good once the server has shown it
        self._whole_file = False  # request no ranges at all, since they bring nothing
        self._probe = False  # an address did not serve a range: find out if it serves the whole file
        self._served: set[str] = set()  # the addresses that have served bytes
        self._barren = Counter[str]()  # by address: attempts in a row that brought no byte
        self._in_vain = Counter[str]()  # by address: ranges that brought no byte while the whole file was served
        self._range_served: set[str] = set()  # those that have served a range that was requested as such

    def __len__(self) -> int:
        return len(self._stats)

    def reap(self, now: float) -> list[tuple[str, Exception | None]]:
        """Remove the workers that ended or stalled. Returns: the address and the error of each."""
        ended: list[tuple[str, Exception | None]] = []
        for stats in list(self._stats):
            worker = stats.worker
            stalled = stats.update(now) and not worker.done
            self._learn(worker)
            if stalled or worker.done:
                self._stats.remove(stats)
                if worker.received:
                    self._barren[worker.job.url] = 0
                elif stalled or worker.error:
                    self._barren[worker.job.url] += 1
                    self._in_vain[worker.job.url] += worker.whole_served
                self.mirrors.record_transfer(worker.job.url, worker.received, now - stats.since)
                self._typical_rate = (self._typical_rate + stats.rate) / 2 if self._typical_rate else stats.rate
                ended.append((worker.job.url, AttemptFailed("the server stalled") if stalled else worker.error))
            if stalled:
                worker.stop()
        return ended

    def _learn(self, worker: Worker) -> None:
        if worker.supports_ranges is not None and self._supports_ranges is not False:
            self._supports_ranges = worker.supports_ranges
        if worker.received:
            self._served.add(worker.job.url)
        if worker.received and worker.served_range:
            self._range_served.add(worker.job.url)
            self._probe = False

    def may_pass(self, url: str) -> bool:
        """Whether an error says little of the address: other connections are at work there, or it has served bytes.

        After more than `PATIENCE` failures in a row, the bytes do not matter.
        """
        if any(stats.worker.job.url == url for stats in self._stats):
            return True
        return url in self._served and self._barren[url] <= PATIENCE

    def apply(self, remedy: Remedy, url: str) -> None:
        """Change the requests of the next workers. What the others are receiving is not given up for that.

        If ranges bring nothing, again and again, then perhaps other requests do. The bytes that are there are given up
        only once that was seen `PATIENCE` times.
        """
        if remedy is Remedy.NO_RANGES:
            self._supports_ranges = False
            self._probe |= not self._stats
        if remedy is Remedy.PROBE:
            self._probe = True
        if self._sink.received and url not in self._range_served:
            self._probe |= self._barren[url] > PATIENCE
            self._whole_file |= self._in_vain[url] >= PATIENCE

    def scale(self, now: float) -> None:
        """Start workers until there are as many as wanted, or no segment is left. Raises: OutOfResources."""
        wanted = self._wanted(now)
        if len(self._stats) >= wanted and self._sink.has_gap:
            self._drop(max(self._stats, key=lambda stats: stats.worker.lease.pos))
        while len(self._stats) < wanted:
            lease = self._claim(wanted) or (self._split(now, wanted) and self._claim(wanted))
            if not lease:
                return
            connections = Counter(stats.worker.job.url for stats in self._stats)
            url = self.mirrors.pick(connections)
            job = Job(
                artifact=self._artifact,
                url=url,
                sink=self._sink,
                lease=lease,
                situation=self._situation(url, connections[url]),
                whole_file=self._whole_file,
                probe=self._probe,
                block_size=min(BUFFER, BLOCK_BYTES // wanted),
                limiter=self._limiter,
            )
            try:
                worker = Worker(self._client, job, self.wakeup)
            except OutOfResources:
                self._sink.revoke(lease)
                raise
            self._stats.append(WorkerStats(worker, now, self._client.timeout))

    def _situation(self, url: str, beside: int) -> Situation:
        return Situation(
            name=self._artifact.name,
            size=self._sink.size,
            provable=self._sink.provable,
            only_url=len(self.mirrors.urls) == 1,
            beside=beside,
            served=url in self._served,
            ranges_served=url in self._range_served,
            failures=self._barren[url],
        )

    def stop(self) -> None:
        """Stop all workers, without waiting for them."""
        for stats in self._stats:
            stats.worker.stop()

    def _wanted(self, now: float) -> int:
        sink = self._sink
        left = None if sink.size is None else sink.size - sink.received
        if not self._supports_ranges or sink.size is None:
            return 1
        if all(self._barren[url] for url in self.mirrors.urls) and not any(
            stats.worker.received for stats in self._stats
        ):
            return 1  # one is enough to find out whether bytes come again
        if not (sink.provable or sink.validator(self._artifact.urls[0])):
            return 1
        return self._limiter.connections(self._tuner.update(now, sink.received, left))

    def _claim(self, wanted: int) -> Lease | None:
        if wanted == 1:
            return self._sink.claim()
        length = segment_length(wanted)
        return self._sink.claim(length, within=WINDOW_BYTES - length)

    def _drop(self, stats: WorkerStats) -> None:
        self._stats.remove(stats)
        stats.worker.stop()

    def _split(self, now: float, wanted: int) -> bool:
        """Free a part of a segment for another worker, or all of a slow worker's. Returns: whether it did."""
        stats = max(self._stats, key=lambda stats: stats.left_s(now), default=None)
        if stats is None:
            return False
        worker, lease, end = stats.worker, stats.worker.lease, stats.worker.lease.end
        if end is None:
            return False
        if self._typical_rate and (stats.left_s(now) < TAKEOVER_S or not worker.reading):
            return False
        if now - stats.since > TAKEOVER_S and stats.rate * SLOW_FACTOR < self._typical_rate:
            self._drop(stats)
            return True
        half = (end - lease.pos) // 2
        return self._sink.shorten(lease, lease.pos + max(MIN_SEGMENT_BYTES, min(half, segment_length(wanted))))


def segment_length(connections: int) -> int:
    """Bytes of a segment: smaller with more connections, so that all segments fit into the window."""
    length = WINDOW_BYTES // (connections + 1)
    return max(MIN_SEGMENT_BYTES, length // MIN_SEGMENT_BYTES * MIN_SEGMENT_BYTES)
