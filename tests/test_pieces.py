"""A file in pieces: in any order of arrivals, failures and shares, every byte has one writer, and it ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.disk import range_map
from luci_dl.disk.range_map import RangeMap
from luci_dl.net import pieces
from luci_dl.net.pieces import SHARE_ROUND_TRIPS, SHARE_S, Pieces
from luci_dl.net.rate_meter import RateMeter
from luci_dl.net.transfer import RATE_S
from luci_dl.plan import PAGE, Lease, Revoked, Segment, Sink

PIECES = 16
PIECE = 32 * PAGE
LEAST = 4 * PAGE
WINDOW = 20 * PIECE
TICK_S = 0.1
STALL_S = 3.0
"""A transfer without a byte for this long is given up."""


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    """Pieces a thousand times smaller, and no waiting for a neighbour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_BYTES", PIECE)
        patch.setattr(pieces, "MIN_PIECE_BYTES", LEAST)
        patch.setattr(pieces, "WINDOW", WINDOW)
        patch.setattr(range_map, "EXTEND_S", 0.0)
        yield


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
        self.shared: list[float] = []  # what bounded transfers that gave up a part had left then, in seconds
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
        while len(self.flows) < wanted and (lease := self._claim(wanted, now)):
            self.flows.append(Flow(self.disk, lease, now, next(self._speeds), next(self._losses), next(self._waiting)))

    def _claim(self, wanted: int, now: float) -> Lease | None:
        if lease := self._pieces.claim(wanted):
            return lease
        if crawling := self._pieces.crawling(self.flows, self.course.round_trip_s, now):
            self.crawled += 1
            self._end(crawling)
        elif not self._share(wanted, now):
            return None
        return self._pieces.claim(wanted)

    def _share(self, wanted: int, now: float) -> bool:
        left = [((flow.lease.end or 0) - flow.lease.pos) / (flow.rate or 1) for flow in self.flows]
        ends = [flow.lease.end for flow in self.flows]
        done = self._pieces.share(self.flows, wanted, self.course.round_trip_s, now)
        shares = zip(self.flows, ends, left, strict=True)
        self.shared += [left_s for flow, end, left_s in shares if flow.lease.end != end and not flow.is_open]
        return done

    def _end(self, flow: Flow) -> None:
        self.flows.remove(flow)
        self.disk.ranges.revoke(flow.lease)


def courses(speeds: st.SearchStrategy[int], trouble: bool) -> st.SearchStrategy[Course]:
    """With `trouble`, connections are lost and stopped, and some wait for the disk."""
    size = st.integers(1, 60 * PIECE)
    return size.flatmap(
        lambda size: st.builds(
            Course,
            size=st.just(size),
            start=st.integers(0, size - 1).map(lambda start: start if trouble else 0),
            connections=st.lists(st.sampled_from([1, 2, 4, 16]), min_size=1, max_size=6),
            speeds=st.lists(speeds, min_size=1, max_size=20).map(lambda some: [*some, PIECE] if trouble else some),
            losses=st.lists(st.none() | st.integers(0, PIECE), max_size=20).map(lambda some: [*some, None])
            if trouble
            else st.just([None]),
            waiting=st.lists(st.booleans(), min_size=1, max_size=20) if trouble else st.just([True]),
            revoked=st.lists(st.integers(0, 20), max_size=20) if trouble else st.just([]),
            round_trip_s=st.sampled_from([0.0, 0.02, 0.2]),
        )
    )


def assert_written_once(disk: Disk) -> None:
    """From the first missing byte to the last one, each by one writer."""
    spans = sorted(disk.written)
    assert [start for start, _ in spans] == [disk.start, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == disk.size


@settings(max_examples=200, deadline=None)
@given(courses(st.sampled_from([0, 100, PAGE, 5000, PIECE // 3, PIECE, 5 * PIECE]), trouble=True))
def test_every_byte_is_written_once_and_it_ends(course: Course) -> None:
    """Whatever connections are lost, stall, crawl, are shared or stopped."""
    download = Download(course)
    download.run()
    assert_written_once(download.disk)


@settings(max_examples=200, deadline=None)
@given(courses(st.integers(PIECE // 30, PIECE // 10), trouble=False))
def test_without_trouble_requests_are_few_and_pieces_are_kept(course: Course) -> None:
    """Sixteen, and one for each piece of a large file; however many connections are wanted, and when."""
    download = Download(course)
    download.run()
    assert_written_once(download.disk)
    assert download.disk.requests <= PIECES + course.size / PIECE
    assert download.crawled == 0
    assert all(left_s >= 2 * (SHARE_S + SHARE_ROUND_TRIPS * course.round_trip_s) for left_s in download.shared)


def test_slow_pieces_are_not_halved_for_ever() -> None:
    """With a piece a minute and sixteen connections, there are no more requests than the file is worth."""
    download = Download(Course(20 * PIECE, 0, [16], [PIECE // 600], [None], [True], []))
    download.run()
    assert len(download.shared) > 2
    assert PIECES <= download.disk.requests <= PIECES + 20


@pytest.mark.parametrize("connections", [[1, 1, 1, 4], [1, 1, 1, 4, 4, 4, 16], [16], [2, 2, 2, 16, 4]])
def test_on_a_full_line_nobody_crawls(connections: list[int]) -> None:
    """Where many share what a few had before, each of them is slower, and none is worse than the others."""
    download = Download(Course(40 * PIECE, 0, connections, [PIECE], [None], [True], [], line=PIECE // 5))
    download.run()
    assert_written_once(download.disk)
    assert download.crawled == 0


def test_the_last_connection_may_crawl() -> None:
    """It is compared with those that were there before."""
    disk = Disk(40 * PIECE)
    flows = [Flow(disk, lease, 0.0, 0, None, rate=PIECE / 10) for _ in range(4) if (lease := disk.claim(PIECE))]
    plan, last = Pieces(cast(Sink, disk), 16), flows[3]
    assert plan.crawling(flows, 0.0, 10.0) is None
    last.rate = PIECE / 39
    assert plan.crawling([last], 0.0, 10.0) is None
    last.rate = PIECE / 41
    assert plan.crawling([last], 0.0, 10.0) is last


@dataclass
class Given:
    """A file of which one transfer gets it all, and others are to join.

    Attributes:
        flow: the transfer, which is open.
    """

    size: int

    def __post_init__(self) -> None:
        self.disk = Disk(self.size)
        self.pieces = Pieces(cast(Sink, self.disk), 16)
        lease = self.pieces.claim(1)
        assert lease
        self.flow = Flow(self.disk, lease, 0.0, 0, None, rate=1e9)

    def shares(self, connections: int = 4) -> bool:
        return self.pieces.share([self.flow], connections, 0.0, 10.0)


def test_the_first_transfer_keeps_what_lies_ahead_of_it() -> None:
    """Several pieces, its part when it has less, one at least; the others get the rest."""
    large, small = Given(60 * PIECE), Given(60 * PIECE)
    assert large.shares(2)
    assert large.flow.lease.end == 4 * PIECE
    assert small.shares(30)
    assert small.flow.lease.end == 2 * PIECE
    assert small.shares(60)
    assert small.flow.lease.end == PIECE
    assert not small.shares(60)
    lease = large.pieces.claim(2)
    assert lease
    assert (lease.pos, lease.end) == (4 * PIECE, 5 * PIECE)


def test_a_rest_that_is_too_small_is_not_given_up() -> None:
    """The first transfer brings it before another connection would."""
    given = Given(60 * PIECE + LEAST - PAGE)
    given.flow.speed = 59 * PIECE
    given.flow.step(0.0)
    given.flow.rate = 1e9
    assert not given.shares()
    assert given.flow.lease.end == given.size


@pytest.mark.parametrize(
    ("left", "rate", "is_waiting", "is_shared"),
    [
        (10 * PAGE, 10 * PAGE, True, True),
        (10 * PAGE, 20 * PAGE, True, False),
        (10 * PAGE, 10 * PAGE, False, False),
        (10 * PAGE, 0, True, True),
        (2 * LEAST - PAGE, 10, True, False),
    ],
    ids=["slow", "fast", "waits for the disk", "silent", "short"],
)
def test_a_piece_is_shared_where_that_gains(left: int, rate: float, is_waiting: bool, is_shared: bool) -> None:
    """It would take long, the network is what it waits for, and half of it is worth a request."""
    disk = Disk(left)
    lease = disk.claim()
    assert lease
    flow = Flow(disk, lease, 0.0, 0, None, is_waiting, rate)
    flow.is_open = False
    plan = Pieces(cast(Sink, disk), 16)
    assert not plan.share([flow], 4, 0.0, SHARE_S), "it has just begun"
    assert not plan.share([flow], 4, 10.0, 10.0), "another request takes too long"
    assert plan.share([flow], 4, 0.0, 10.0) == is_shared
    assert lease.end == (left // 2 if is_shared else left)


def test_a_crawling_connection_is_known_by_the_others() -> None:
    """It is slower by a factor, has had time to get up to speed, and has much left."""
    disk = Disk(40 * PIECE)
    flows = [Flow(disk, lease, 0.0, 0, None, rate=PIECE / 10) for _ in range(4) if (lease := disk.claim(PIECE))]
    plan, slow = Pieces(cast(Sink, disk), 16), flows[2]
    assert plan.crawling([], 0.0, 10.0) is None
    assert plan.crawling(flows, 0.0, 10.0) is None
    slow.rate = PIECE / 39
    assert plan.crawling(flows, 0.0, 10.0) is None
    slow.rate = PIECE / 41
    assert plan.crawling(flows, 0.0, 10.0) is slow
    slow.began = 9.5
    assert plan.crawling(flows, 0.0, 10.0) is None
    assert plan.crawling(flows, 0.0, 11.0) is slow
    assert plan.crawling(flows, 0.2, 11.0) is None, "a long line takes its time"
    assert disk.ranges.write(slow.lease, PIECE - 1, disk.put)
    assert plan.crawling(flows, 0.0, 11.0) is None, "it has nearly ended"


@pytest.mark.parametrize(
    ("size", "most", "length"),
    [
        (0, 16, LEAST),
        (16 * LEAST, 16, LEAST),
        (16 * LEAST + 1, 16, LEAST + PAGE),
        (16 * 20 * PAGE, 16, 20 * PAGE),
        (16 * PIECE, 16, PIECE),
        (1000 * PIECE, 16, PIECE),
        (64 * 10 * PAGE, 64, 10 * PAGE),
    ],
)
def test_a_small_file_is_cut_into_so_many_pieces_a_large_one_into_more(size: int, most: int, length: int) -> None:
    """Whole pages; and each of many connections gets one."""
    assert Pieces(cast(Sink, Disk(size)), most).length == length
