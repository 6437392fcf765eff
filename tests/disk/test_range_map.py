"""Who may write where: ranges have one writer, and what is written is known."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.disk.range_map import RangeMap
from luci_dl.plan import Lease, Revoked

SIZE = 40


class Paper:
    """The bytes of a file, each of which may be written once."""

    def __init__(self, start: int = 0) -> None:
        self.bytes = [offset < start for offset in range(SIZE)]

    def put(self, offset: int, length: int) -> None:
        assert not any(self.bytes[offset : offset + length]), "two writers for one range"
        self.bytes[offset : offset + length] = [True] * length

    @property
    def written(self) -> int:
        return next((offset for offset, there in enumerate(self.bytes) if not there), SIZE)


def fill(ledger: RangeMap, paper: Paper) -> None:
    while lease := ledger.claim():
        while lease.pos != lease.end:
            ledger.write(lease, 3, paper.put)
        ledger.revoke(lease)


@given(st.data())
def test_any_order_of_claims_and_ends_keeps_one_writer_for_a_range(data: st.DataObject) -> None:
    """`written` and `received` are right after every step, and in the end every byte can still be claimed."""
    start = data.draw(st.integers(0, SIZE))
    ledger, paper, leases = RangeMap(start, SIZE), Paper(start), list[Lease]()
    for _ in range(data.draw(st.integers(0, 25))):
        step = data.draw(st.sampled_from(("claim", "write", "revoke", "shorten")))
        if step == "claim":
            limit = st.none() | st.integers(1, SIZE)
            lease = ledger.claim(data.draw(limit), data.draw(limit))
            leases += [lease] if lease else []
        elif leases:
            lease = data.draw(st.sampled_from(leases))
            if step == "write" and not lease.revoked:
                _, written = ledger.write(lease, data.draw(st.integers(1, 9)), paper.put)
                assert written == paper.written
            elif step == "revoke":
                ledger.revoke(lease)
            elif step == "shorten":
                ledger.shorten(lease, data.draw(st.integers(0, SIZE)))
        assert ledger.written == paper.written
        assert ledger.received == sum(paper.bytes)
    for lease in leases:
        ledger.revoke(lease)
    fill(ledger, paper)
    assert all(paper.bytes)
    assert ledger.written == ledger.received == SIZE
    assert ledger.fetched == SIZE - start


def test_a_revoked_lease_cannot_write() -> None:
    """Not even if its thread notices late; revoking twice is harmless."""
    ledger = RangeMap(0, SIZE)
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
    ledger = RangeMap(0, SIZE)
    lease = ledger.claim()
    assert lease

    def fail(_offset: int, _length: int) -> None:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        ledger.write(lease, 5, fail)
    assert (lease.pos, ledger.received, ledger.written) == (0, 0, 0)
    ledger.revoke(lease)
    fill(ledger, Paper())
    assert ledger.written == SIZE


def test_a_revoke_waits_for_the_write_under_way() -> None:
    """When it returns, no thread writes with the lease any more."""
    ledger, writing, go = RangeMap(0, SIZE), threading.Event(), threading.Event()
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
    ledger, papers = RangeMap(0, SIZE), [Paper()]
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
        ledger.restart(SIZE)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not faults
    assert ledger.written == papers[-1].written
    assert ledger.received == sum(papers[-1].bytes)


def test_a_size_that_is_learned_ends_every_open_segment() -> None:
    """The leased one, and the free one."""
    leased, free = RangeMap(0, None), RangeMap(0, None)
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
    empty = RangeMap(0, None)
    empty.learn_size(0)
    assert empty.claim() is None


def test_a_gap_is_what_no_lease_comes_before() -> None:
    """Free segments behind a lease are none, and neither is a file without leases."""
    ledger = RangeMap(0, SIZE)
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
    ledger = RangeMap(0, SIZE)
    lease = ledger.claim(5)
    assert lease
    ledger.close()
    with pytest.raises(Revoked):
        ledger.write(lease, 1, Paper().put)
    ledger.halt()
    ledger.restart(SIZE)
    assert ledger.claim() is None


def test_claims_keep_near_what_is_written() -> None:
    """At most `within` bytes beyond it, however much is free there."""
    ledger = RangeMap(0, SIZE)
    first, second = ledger.claim(10, 20), ledger.claim(10, 20)
    assert first
    assert second
    assert ledger.claim(10, 20) is None
    ledger.write(first, 10, Paper().put)
    third = ledger.claim(10, 20)
    assert third
    assert (third.pos, third.end) == (20, 30)
