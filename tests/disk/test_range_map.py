"""Who may write where: ranges have one writer, and what is written is known."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.disk import jumps, range_map
from luci_dl.disk.range_map import RangeMap, merged
from luci_dl.plan import Lease, Revoked, Segment

SIZE = 40


@pytest.fixture(autouse=True, scope="module")
def _hasty() -> Iterator[None]:
    """An extension does not wait for a lease that may be refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_map, "EXTEND_S", 0.0)
        patch.setattr(range_map, "NEAR", 4)
        patch.setattr(jumps, "NEAR", 4)
        patch.setattr(range_map, "PIECE", 8)
        yield


class Paper:
    """The bytes of a file, each of which may be written once."""

    def __init__(self, missing: Sequence[Segment] = (Segment(0, SIZE),)) -> None:
        self.bytes = [True] * SIZE
        self.forget(missing)

    def forget(self, segments: Sequence[Segment]) -> int:
        """Make these bytes missing. Returns: how many were there."""
        there = sum(self.bytes)
        for segment in segments:
            self.bytes[segment.start : segment.end] = [False] * ((segment.end or SIZE) - segment.start)
        return there - sum(self.bytes)

    def put(self, offset: int, length: int) -> None:
        assert not any(self.bytes[offset : offset + length]), "two writers for one range"
        self.bytes[offset : offset + length] = [True] * length

    @property
    def written(self) -> int:
        return next((offset for offset, there in enumerate(self.bytes) if not there), SIZE)


def of_size(size: int | None) -> RangeMap:
    """Nothing of it is written."""
    return missing([Segment(0, size)], size)


def missing(segments: Sequence[Segment], size: int | None) -> RangeMap:
    """These segments of it are not written."""

    def store(lease: Lease) -> None:
        lease.stored = lease.pos

    return RangeMap(segments, size, store)


def write(ledger: RangeMap, lease: Lease, length: int, paper: Paper) -> None:
    """Write, and pass on what was collected."""
    ledger.write(lease, length, paper.put)
    if not lease.revoked:
        ledger.store(lease)


def fill(ledger: RangeMap, paper: Paper) -> None:
    while lease := ledger.claim():
        while lease.pos != lease.end:
            ledger.write(lease, 3, paper.put)
        ledger.revoke(lease)


segments = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, SIZE)), max_size=4).map(
    lambda pairs: merged(Segment(start, min(SIZE, start + length)) for start, length in pairs)
)


@settings(deadline=None)
@given(st.data(), segments)
def test_any_order_of_steps_keeps_one_writer_for_a_byte(data: st.DataObject, holes: list[Segment]) -> None:
    """Claims, writes, failures, shortening, extension, revocation, forgetting: each byte has one owner, and it ends."""
    ledger, paper, leases = missing(holes, SIZE), Paper(holes), list[Lease]()
    before, forgotten = sum(paper.bytes), 0
    for _ in range(data.draw(st.integers(0, 25))):
        step = data.draw(st.sampled_from(("claim", "write", "fail", "revoke", "shorten", "extend", "want", "forget")))
        if step == "claim":
            limit = st.none() | st.integers(1, SIZE)
            lease = ledger.claim(data.draw(limit), data.draw(limit))
            leases += [lease] if lease else []
        elif step == "want":
            ledger.want(data.draw(st.integers(0, SIZE)))
        elif step == "forget":
            lost = data.draw(segments)
            ledger.halt()
            forgotten += paper.forget(lost)
            ledger.restart(merged([*ledger.missing, *lost]), SIZE)
            leases.clear()
        elif leases:
            one_step(ledger, paper, data.draw(st.sampled_from(leases)), step, data.draw(st.integers(1, SIZE)))
        assert ledger.written <= paper.written
        offset = data.draw(st.integers(0, SIZE))
        assert all(paper.bytes[offset : ledger.stored_from(offset)])
        assert ledger.received == sum(paper.bytes)
    for lease in leases:
        ledger.revoke(lease)
    assert ledger.written == paper.written
    fill(ledger, paper)
    assert all(paper.bytes)
    assert ledger.written == ledger.received == SIZE
    assert ledger.fetched == SIZE - before + forgotten


def one_step(ledger: RangeMap, paper: Paper, lease: Lease, step: str, number: int) -> None:
    if step == "write" and not lease.revoked:
        ledger.write(lease, number, paper.put)
    elif step == "fail" and not lease.revoked:
        with pytest.raises(OSError, match="disk"):
            ledger.write(lease, number, broken)
    elif step == "revoke":
        ledger.revoke(lease)
    elif step == "shorten":
        ledger.shorten(lease, number)
    elif step == "extend" and not lease.revoked:
        ledger.extend(lease)


def broken(_offset: int, _length: int) -> None:
    raise OSError("disk")


def test_a_revoked_lease_cannot_write() -> None:
    """Not even if its thread notices late; revoking twice is harmless."""
    ledger = of_size(SIZE)
    lease = ledger.claim()
    assert lease
    ledger.revoke(lease)
    ledger.revoke(lease)
    with pytest.raises(Revoked):
        ledger.write(lease, 1, Paper().put)
    assert ledger.received == 0
    assert ledger.claim()
    assert ledger.claim() is None


def test_a_write_that_fails_moves_nothing() -> None:
    """The range is free again after the revoke."""
    ledger = of_size(SIZE)
    lease = ledger.claim()
    assert lease

    with pytest.raises(OSError, match="disk"):
        ledger.write(lease, 5, broken)
    assert (lease.pos, ledger.received, ledger.written) == (0, 0, 0)
    ledger.revoke(lease)
    fill(ledger, Paper())
    assert ledger.written == SIZE


def test_a_revoke_waits_for_the_write_under_way() -> None:
    """When it returns, no thread writes with the lease any more."""
    ledger, writing, go = of_size(SIZE), threading.Event(), threading.Event()
    lease = ledger.claim()
    assert lease

    def put(_offset: int, _length: int) -> None:
        writing.set()
        assert go.wait(10)

    writer = threading.Thread(target=ledger.write, args=(lease, 5, put))
    writer.start()
    assert writing.wait(10)
    ender = threading.Thread(target=ledger.revoke, args=(lease,))
    ender.start()
    ender.join(0.1)
    assert ender.is_alive()
    go.set()
    ender.join(10)
    writer.join(10)
    assert ledger.written == 5


def test_nothing_is_written_twice_by_many_threads_while_it_starts_over() -> None:
    """Between `halt` and `restart` nothing can be claimed, and nothing is written with an old lease afterwards."""
    ledger, papers = of_size(SIZE), [Paper()]
    faults, stop = list[BaseException](), threading.Event()

    def work(seed: int) -> None:
        dice = random.Random(seed)
        try:
            while not stop.is_set():
                lease = ledger.claim(dice.randint(1, 9))
                if lease is None:
                    continue
                try:
                    for _ in range(dice.randint(0, 4)):
                        ledger.write(lease, dice.randint(1, 3), lambda offset, length: papers[-1].put(offset, length))
                except Revoked:
                    pass
                ledger.revoke(lease)
        except BaseException as error:  # noqa: BLE001 - shown below
            faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        ledger.halt()
        assert ledger.claim() is None
        papers.append(Paper())
        ledger.restart([Segment(0, SIZE)], SIZE)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not faults
    assert ledger.written == papers[-1].written
    assert ledger.received == sum(papers[-1].bytes)


def test_a_size_that_is_learned_ends_every_open_segment() -> None:
    """The leased one, and the free one."""
    leased, free = of_size(None), of_size(None)
    lease = leased.claim()
    assert lease
    assert lease.end is None
    leased.learn_size(SIZE)
    assert lease.end == SIZE
    again = free.claim()
    assert again
    free.write(again, 5, Paper().put)
    free.revoke(again)
    free.learn_size(SIZE)
    rest = free.claim()
    assert rest
    assert (rest.pos, rest.end) == (5, SIZE)
    empty = of_size(None)
    empty.learn_size(0)
    assert empty.claim() is None


def test_a_gap_is_what_no_lease_comes_before() -> None:
    """Free segments behind a lease are none, and neither is a file without leases."""
    ledger = of_size(SIZE)
    assert not ledger.has_gap
    first, second = ledger.claim(10), ledger.claim(10)
    assert first
    assert second
    assert not ledger.has_gap
    ledger.revoke(first)
    assert ledger.has_gap
    ledger.revoke(second)
    assert not ledger.has_gap


def test_a_closed_range_map_gives_no_leases() -> None:
    """Not after a restart either."""
    ledger = of_size(SIZE)
    lease = ledger.claim(5)
    assert lease
    ledger.close()
    with pytest.raises(Revoked):
        ledger.write(lease, 1, Paper().put)
    ledger.halt()
    ledger.restart([Segment(0, SIZE)], SIZE)
    assert ledger.claim() is None


def test_claims_keep_near_what_is_written() -> None:
    """At most `within` bytes beyond it, however much is free there."""
    ledger = of_size(SIZE)
    first, second = ledger.claim(10, 20), ledger.claim(10, 20)
    assert first
    assert second
    assert ledger.claim(10, 20) is None
    write(ledger, first, 10, Paper())
    third = ledger.claim(10, 20)
    assert third
    assert (third.pos, third.end) == (20, 30)


def test_a_wanted_byte_is_claimed_next() -> None:
    """From the step before it, and a lease that has far to go ends soon."""
    ledger, paper = of_size(SIZE), Paper()
    first = ledger.claim()
    assert first
    write(ledger, first, 2, paper)
    ledger.want(30)
    assert first.end == 8
    assert not ledger.extend(first)
    wanted = ledger.claim()
    assert wanted
    assert (wanted.pos, wanted.end) == (28, 32)
    assert not ledger.has_gap
    write(ledger, wanted, 4, paper)
    assert (ledger.stored_from(0), ledger.stored_from(28), ledger.stored_from(33)) == (2, 32, 33)
    following = ledger.claim()
    assert following
    assert following.pos == 8


@pytest.mark.parametrize("offset", [0, 3, SIZE, SIZE + 1], ids=["there", "next", "the end", "beyond"])
def test_what_is_there_or_about_to_be_is_not_wanted(offset: int) -> None:
    """Nothing changes."""
    ledger = of_size(SIZE)
    lease = ledger.claim()
    assert lease
    write(ledger, lease, 2, Paper())
    ledger.want(offset)
    assert lease.end == SIZE
    assert ledger.claim() is None


def test_a_lease_knows_that_its_next_byte_is_awaited() -> None:
    """Not one whose bytes are there, or that begins beyond it."""
    ledger, paper = of_size(SIZE), Paper()
    leases = [lease for _ in range(3) if (lease := ledger.claim(piece=8))]
    write(ledger, leases[0], 8, paper)
    ledger.want(8)
    assert [lease.awaited > 0 for lease in leases] == [False, True, False]


def test_a_byte_too_far_ahead_waits() -> None:
    """For what comes before it, as without the wish."""
    ledger = of_size(SIZE)
    ledger.want(30)
    lease = ledger.claim(piece=8, within=20)
    assert lease
    assert (lease.pos, lease.end) == (0, 8)


def test_what_is_missing_again_is_counted() -> None:
    """Whoever read it has other bytes than the file will have."""
    ledger, paper = of_size(SIZE), Paper()
    fill(ledger, paper)
    ledger.halt()
    ledger.restart([Segment(3, 7)], SIZE)
    assert (ledger.restarts, ledger.stored_from(0), ledger.stored_from(5), ledger.stored_from(7)) == (1, 3, 5, SIZE)
