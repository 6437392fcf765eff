"""The connections of one fetch: how many, at what, and who takes over from whom."""

from __future__ import annotations

import threading
from collections import Counter

from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.mirrors import Mirrors
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.rate_meter import RateMeter, StallWatch
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.tune import Tuner
from luci_dl.net.worker import Job, Worker
from luci_dl.plan import BUFFER, Lease, Sink

WINDOW = 128 << 20
"""No more is asked for beyond what is there in order, in bytes, unless one connection brings all."""
LEAST = 1 << 20
"""No segment is smaller, in bytes, unless the file's end makes it so."""
BLOCKS = 4 << 20
"""Bytes that all connections together read at a time."""
SLOW = 4.0
"""A connection so many times slower than the others is relieved of its segment."""
RELIEF_S = 1.0
"""Nobody is relieved who will be through sooner, or was not at it that long, in seconds."""


class WorkerStats:
    """A worker, and what is known of its speed."""

    def __init__(self, worker: Worker, now: float) -> None:
        self.worker = worker
        self.since = now
        self.rate = 0.0
        self._speed = RateMeter()
        self._stall = StallWatch()

    def update(self, now: float) -> bool:
        """Whether it has stalled."""
        self.rate = self._speed.add(now, self.worker.moved)
        return self._stall.is_stalled(now, self.worker.moved, self.worker.reading)

    def left_s(self, now: float) -> float:
        """Seconds until its segment is full, at its rate; of one that has only just begun nobody can tell: 0."""
        lease = self.worker.lease
        left = (lease.end or lease.pos) - lease.pos
        if self.rate:
            return left / self.rate
        return float("inf") if left and now - self.since > RELIEF_S else 0.0


class WorkerPool:
    """The workers of one fetch. The calling thread of the fetch asks all this; the workers only work.

    Attributes:
        bell: rung by a worker that ends.
    """

    def __init__(self, client: Client, artifact: Artifact, sink: Sink, tuner: Tuner, pace: RateLimiter) -> None:
        self.bell = threading.Event()
        self.mirrors = Mirrors(artifact.urls if artifact.provable else artifact.urls[:1])
        self._client = client
        self._artifact = artifact
        self._sink = sink
        self._tuner = tuner
        self._pace = pace
        self._members: list[WorkerStats] = []
        self._usual = 0.0  # bytes a second that a connection brings
        self._ranges: bool | None = None  # whether the server serves them; once it did not, they are not relied on
        self._whole = False  # nor are they asked for, once they came wrong

    def __len__(self) -> int:
        return len(self._members)

    def ended(self, now: float) -> list[tuple[str, Exception | None]]:
        """The address and the error of each worker that ended or stalled since; they are no longer of the crew."""
        over: list[tuple[str, Exception | None]] = []
        for member in list(self._members):
            worker = member.worker
            stalled = member.update(now) and not worker.done
            if worker.ranges is not None and self._ranges is not False:
                self._ranges = worker.ranges
            if stalled or worker.done:
                self._members.remove(member)
                self.mirrors.brought(worker.job.url, worker.moved, now - member.since)
                self._usual = (self._usual + member.rate) / 2 if self._usual else member.rate
                over.append((worker.job.url, AttemptFailed("the server stalled") if stalled else worker.error))
            if stalled:
                worker.stop()
        return over

    def distrust_ranges(self) -> None:
        """The server showed that it cannot be trusted with ranges: one connection, and the whole file."""
        self._ranges, self._whole = False, True

    def scale(self, now: float) -> None:
        """As many workers as there should be now, as far as there is something for them to do."""
        wanted = self._wanted(now)
        while len(self._members) < wanted:
            lease = self._claim(wanted) or (self._split(now, wanted) and self._claim(wanted))
            if not lease:
                return
            busy = Counter(member.worker.job.url for member in self._members)
            job = Job(
                artifact=self._artifact,
                url=self.mirrors.pick(busy),
                sink=self._sink,
                lease=lease,
                whole=self._whole,
                alone=len(self.mirrors.urls) == 1,
                block=min(BUFFER, BLOCKS // wanted),
                pace=self._pace,
            )
            self._members.append(WorkerStats(Worker(self._client, job, self.bell), now))

    def stop(self) -> None:
        """Nobody works any more; waits for writes that are under way."""
        for member in self._members:
            member.worker.stop()

    def _wanted(self, now: float) -> int:
        sink = self._sink
        left = None if sink.size is None else sink.size - sink.received
        if not self._ranges or sink.size is None:
            return 1
        if not (sink.provable or sink.validator(self._artifact.urls[0])):
            return 1
        return self._tuner.update(now, sink.received, left)

    def _claim(self, wanted: int) -> Lease | None:
        if wanted == 1:
            return self._sink.claim()
        length = segment_length(wanted)
        return self._sink.claim(length, within=WINDOW - length)

    def _split(self, now: float, wanted: int) -> bool:
        """Free something for a worker who has nothing to do. Returns: whether there is something to claim now."""
        member = max(self._members, key=lambda member: member.left_s(now), default=None)
        if member is None:
            return False
        worker, lease, end = member.worker, member.worker.lease, member.worker.lease.end
        if end is None:
            return False
        if self._usual and (member.left_s(now) < RELIEF_S or not worker.reading):
            return False
        if now - member.since > RELIEF_S and member.rate * SLOW < self._usual:
            self._members.remove(member)
            worker.stop()
            return True
        half = (end - lease.pos) // 2
        return self._sink.shorten(lease, lease.pos + max(LEAST, min(half, segment_length(wanted))))


def segment_length(connections: int) -> int:
    """The bytes of a segment: smaller with more connections, so that all find place in the window."""
    return max(LEAST, WINDOW // (connections + 1) // LEAST * LEAST)
