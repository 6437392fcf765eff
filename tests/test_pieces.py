"""A file in pieces: in any order of arrivals, failures and shares, every byte has one writer, and it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.disk import range_map
from luci_dl.net import pieces
from luci_dl.net.pieces import SHARE_ROUND_TRIPS, SHARE_S, Pieces
from luci_dl.plan import PAGE, Sink
from tests.simulated import LEAST, PIECE, PIECES, TICK_S, WINDOW, Course, Disk, Download, Flow


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    """Pieces a thousand times smaller, and no waiting for a neighbour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_BYTES", PIECE)
        patch.setattr(pieces, "MIN_PIECE_BYTES", LEAST)
        patch.setattr(pieces, "WINDOW", WINDOW)
        patch.setattr(range_map, "EXTEND_S", 0.0)
        yield


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


@pytest.mark.parametrize("size", [20, 40])
def test_on_a_full_line_nothing_is_halved(size: int) -> None:
    """One more connection would only take from the others: a request for each piece is enough."""
    download = Download(Course(size * PIECE, 0, [16], [PIECE], [None], [True], [], line=PIECE // 5))
    download.run()
    assert_written_once(download.disk)
    assert (download.shared, download.disk.requests) == ([], size)


def come(plan: Pieces, disk: Disk, rate: float, connections: int, now: float) -> bool:
    """Let bytes come at that rate for two seconds, up to `now`. Returns: whether they fill the line."""
    for tick in range(20):
        disk.elsewhere += int(rate * TICK_S)
        is_full = plan.fills_line(connections, now - 2.0 + (tick + 1) * TICK_S)
    return is_full


def test_the_line_is_full_while_as_much_comes_as_ever() -> None:
    """All connections together are compared with the best that there was, but for bursts."""
    disk = Disk(40 * PIECE)
    plan = Pieces(cast(Sink, disk), 16)
    disk.elsewhere = 1 << 30
    assert plan.fills_line(4, 0.0), "nothing is known yet"
    assert come(plan, disk, 1e6, 4, 2.0)
    assert come(plan, disk, 0.8e6, 3, 4.0)
    assert not come(plan, disk, 0.7e6, 2, 6.0)
    assert come(plan, disk, 4e6, 4, 8.0)
    assert not come(plan, disk, 2e6, 4, 10.0)
    assert not come(plan, disk, 0, 0, 12.0)


def test_the_last_connection_may_crawl() -> None:
    """It is compared with those that were there before."""
    disk = Disk(40 * PIECE)
    flows = [Flow(disk, lease, 0.0, 0, None, rate=PIECE / 10) for _ in range(4) if (lease := disk.claim(PIECE))]
    plan, last = Pieces(cast(Sink, disk), 16), flows[3]
    assert come(plan, disk, 4 * PIECE / 10, 4, 2.0)
    last.rate = PIECE / 39
    assert plan.crawling([last], 0.0, 10.0) is None
    last.rate = PIECE / 42
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

    def kept(self, connections: int = 4) -> int | None:
        """The end of what it keeps when others join."""
        self.pieces.share_open([self.flow], connections)
        return self.flow.lease.end


def test_the_first_transfer_keeps_what_lies_ahead_of_it() -> None:
    """Several pieces, its part when it has less, one at least; the others get the rest."""
    large, small = Given(60 * PIECE), Given(60 * PIECE)
    assert large.kept(2) == 4 * PIECE
    assert small.kept(30) == 2 * PIECE
    assert small.kept(60) == PIECE
    assert small.kept(60) == PIECE
    lease = large.pieces.claim(2)
    assert lease
    assert (lease.pos, lease.end) == (4 * PIECE, 5 * PIECE)


def test_a_rest_that_is_too_small_is_not_given_up() -> None:
    """The first transfer brings it before another connection would."""
    given = Given(60 * PIECE + LEAST - PAGE)
    given.flow.speed = 59 * PIECE
    given.flow.step(0.0)
    given.flow.rate = 1e9
    assert given.kept() == given.size


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
    assert not plan.share_last([flow], 0.0, SHARE_S), "it has just begun"
    assert not plan.share_last([flow], 10.0, 10.0), "another request takes too long"
    assert plan.share_last([flow], 0.0, 10.0) == is_shared
    assert lease.end == (left // 2 if is_shared else left)


def test_a_crawling_connection_is_known_by_the_others() -> None:
    """It is slower by a factor, has had time to get up to speed, and has much left."""
    disk = Disk(40 * PIECE)
    flows = [Flow(disk, lease, 0.0, 0, None, rate=PIECE / 10) for _ in range(4) if (lease := disk.claim(PIECE))]
    plan, slow = Pieces(cast(Sink, disk), 16), flows[2]
    come(plan, disk, 4 * PIECE / 10, 4, 2.0)
    assert plan.crawling([], 0.0, 10.0) is None
    assert plan.crawling(flows, 0.0, 10.0) is None
    slow.rate = PIECE / 39
    assert plan.crawling(flows, 0.0, 10.0) is None
    slow.rate = PIECE / 42
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


def test_a_slow_connection_hands_over_what_somebody_waits_for() -> None:
    """To one that is faster, and not at once; if all are slow, it is the line."""
    disk = Disk(40 * PIECE)
    flows = [Flow(disk, lease, 0.0, 0, None, rate=PIECE / 10) for _ in range(4) if (lease := disk.claim(PIECE))]
    plan, slow = Pieces(cast(Sink, disk), 16), flows[0]
    slow.rate = PIECE / 30
    plan.hand_over(flows, 0.0, 10.0)
    assert slow.lease.end == PIECE, "nobody waits"
    slow.lease.awaited = 9.9
    plan.hand_over(flows, 1.0, 10.0)
    assert slow.lease.end == PIECE, "a long line takes its time"
    plan.hand_over([slow], 0.0, 10.0)
    assert slow.lease.end == PIECE, "there is no faster one"
    plan.hand_over(flows, 0.0, 10.0)
    left = slow.lease.end or 0
    assert 0 < left < PIECE / 30
    assert [flow.lease.end for flow in flows[1:]] == [2 * PIECE, 3 * PIECE, 4 * PIECE]
    taken = disk.claim(PIECE)
    assert taken
    assert (taken.pos, taken.end) == (left, PIECE)
    flows[1].lease.awaited = 9.0
    flows[1].rate = 1.0
    plan.hand_over(flows, 0.0, 10.0)
    assert flows[1].lease.end == 2 * PIECE, "nobody waits any more"
