"""A download in pieces by simulated connections, as `WorkerPool` does it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from luci_dl.disk.range_map import RangeMap
from luci_dl.net.pieces import RATE_S, Pieces
from luci_dl.net.rate_meter import RateMeter
from luci_dl.plan import PAGE, Lease, Revoked, Segment, Sink

PIECES = 16
PIECE = 32 * PAGE
LEAST = 4 * PAGE
WINDOW = 20 * PIECE
TICK_S = 0.1
STALL_S = 3.0
"""A transfer without a byte for this long is given up."""


def stored(lease: Lease) -> None:
    """Nothing is collected."""
    lease.stored = lease.pos


@dataclass
class Disk:
    """The part of a `Sink` that `Pieces` needs, and who wrote what.

    Attributes:
        written: the spans, in the order in which they were written.
        requests: how many spans were claimed.
    """

    size: int
    start: int = 0
    written: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ranges = RangeMap([Segment(self.start, self.size)], self.size, stored)
        self.requests = 0
        self.elsewhere = 0  # bytes that came by no simulated transfer

    @property
    def received(self) -> int:
        return self.ranges.received + self.elsewhere

    def claim(self, piece: int | None = None, within: int | None = None) -> Lease | None:
        lease = self.ranges.claim(piece, within)
        self.requests += lease is not None
        assert lease is None or within is None or lease.pos < self.ranges.written + WINDOW
        return lease

    def shorten(self, lease: Lease, end: int) -> bool:
        assert end % PAGE == 0
        return self.ranges.shorten(lease, end)

    def put(self, offset: int, length: int) -> None:
        self.written.append((offset, offset + length))

    @property
    def is_complete(self) -> bool:
        return self.ranges.received == self.size


@dataclass
class Flow:
    """A simulated transfer; is a `pieces.Piece`.

    Attributes:
        speed: bytes per tick.
        request_end: where its request ends.
        fails_at: where its connection is lost; None: nowhere.
    """

    disk: Disk
    lease: Lease
    began: float
    speed: int
    fails_at: int | None
    is_waiting: bool = True
    rate: float = 0.0
    received: int = 0
    last_byte: float = 0.0

    def __post_init__(self) -> None:
        self.request_end = self.lease.end or self.disk.size
        self.is_open = self.request_end == self.disk.size
        self.last_byte = self.began
        self._meter = RateMeter(RATE_S)

    def age(self, now: float) -> float:
        return now - self.began

    @property
    def left_s(self) -> float:
        return ((self.lease.end or 0) - self.lease.pos) / (self.rate or 1)

    def step(self, now: float, at_most: int = 1 << 60) -> bool:
        """Receive what comes in a tick. Returns: whether the transfer has ended."""
        try:
            left = self._receive(min(self.speed, at_most, self.request_end - self.lease.pos))
        except Revoked:
            return True
        self.last_byte = now if self.speed else self.last_byte
        self.rate = self._meter.add(now, self.received)
        lost = self.fails_at is not None and self.received >= self.fails_at
        return left or lost or now - self.last_byte > STALL_S

    def _receive(self, count: int) -> bool:
        while count:
            taken = self.disk.ranges.write(self.lease, count, self.disk.put)
            self.disk.ranges.store(self.lease)
            self.received += taken
            count -= taken
            if self.lease.pos == self.lease.end and (
                self.lease.pos == self.request_end or not self.disk.ranges.extend(self.lease)
            ):
                return True
        return self.lease.pos == self.request_end


@dataclass(frozen=True)
class Course:
    """What happens to a download.

    Attributes:
        size, start: of the file, and the bytes of it that are there.
        connections: how many are wanted, a second long each; the last number stays.
        speeds: bytes per tick of each connection, in turn; some bring nothing.
        losses: where each connection is lost, in turn; None: nowhere.
        waiting: whether each waits for the network rather than the disk, in turn.
        revoked: by second, the number of a transfer that is stopped; none if there is no such transfer.
        round_trip_s: of the line.
        line: bytes per tick of all connections together.
    """

    size: int
    start: int
    connections: Sequence[int]
    speeds: Sequence[int]
    losses: Sequence[int | None]
    waiting: Sequence[bool]
    revoked: Sequence[int]
    round_trip_s: float = 0.0
    line: int = 1 << 60


class Download:
    """A download by this course, as `WorkerPool` does it."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.disk = Disk(course.size, course.start)
        self.flows: list[Flow] = []
        self.shared: list[float] = []  # what transfers that were halved had left then, in seconds
        self.crawled = 0
        self._pieces = Pieces(cast(Sink, self.disk), max(course.connections))
        self._speeds, self._losses = itertools.cycle(course.speeds), itertools.cycle(course.losses)
        self._waiting = itertools.cycle(course.waiting)
        self._revoked = iter(course.revoked)

    def run(self) -> None:
        """Until all bytes are there."""
        for tick in range(100_000):
            if self.disk.is_complete:
                return
            now = tick * TICK_S
            if tick % 10 == 0 and self.flows[(number := next(self._revoked, 99)) :]:
                self._end(self.flows[number])
            share = self.course.line // max(1, len(self.flows))
            for flow in [flow for flow in self.flows if flow.step(now, share)]:
                self._end(flow)
            self._scale(now)
        raise AssertionError(f"{self.disk.ranges.received} of {self.course.size} bytes, then no end")

    def _scale(self, now: float) -> None:
        wanted = self.course.connections[min(int(now), len(self.course.connections) - 1)]
        fills_line = self._pieces.fills_line(len(self.flows), now)
        while len(self.flows) < wanted and (lease := self._claim(wanted, fills_line, now)):
            self.flows.append(Flow(self.disk, lease, now, next(self._speeds), next(self._losses), next(self._waiting)))

    def _claim(self, wanted: int, fills_line: bool, now: float) -> Lease | None:
        self._pieces.share_open(self.flows, wanted)
        lease = self._pieces.claim(wanted)
        if lease or fills_line:
            return lease
        if crawling := self._pieces.crawling(self.flows, self.course.round_trip_s, now):
            self.crawled += 1
            self._end(crawling)
        elif not self._share_last(now):
            return None
        return self._pieces.claim(wanted)

    def _share_last(self, now: float) -> bool:
        before = [(flow, flow.lease.end, flow.left_s) for flow in self.flows]
        done = self._pieces.share_last(self.flows, self.course.round_trip_s, now)
        self.shared += [left_s for flow, end, left_s in before if flow.lease.end != end]
        return done

    def _end(self, flow: Flow) -> None:
        self.flows.remove(flow)
        self.disk.ranges.revoke(flow.lease)
