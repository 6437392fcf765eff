"""Bytes are counted by file, client and second, whichever thread counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from luci_dl.serve.ledger import RATE_S, WINDOW_S, Ledger

A, B = "a" * 64, "b" * 64


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_totals_are_of_all_files_and_clients() -> None:
    """Each client is counted once."""
    ledger = Ledger(Clock())
    ledger.received(A, 100)
    for sha256, client in [(A, "10.0.0.1"), (A, "10.0.0.2"), (B, "10.0.0.1")]:
        ledger.sent(sha256, client, 40)
    account = ledger.account()
    assert (account.wan_bytes, account.lan_bytes, account.clients) == (100, 120, 2)
    assert account.sent == {A: 80, B: 40}


def test_the_rate_is_that_of_the_last_whole_seconds() -> None:
    """The second that has not ended does not pull it down, and it falls to nothing when nothing comes."""
    clock = Clock()
    ledger = Ledger(clock)
    for _ in range(10):
        ledger.received(A, 600)
        ledger.received(A, 300)
        clock.now += 1
    ledger.received(A, 1)
    assert ledger.account().wan_rate == 900
    assert ledger.account().rates == {A: 900}
    assert ledger.account().lan_rate == 0
    clock.now += RATE_S + 1
    assert ledger.account().wan_rate == 0
    assert ledger.account().rates == {A: 0}


def test_the_history_is_that_of_the_window() -> None:
    """The oldest first, each value the mean of its seconds; what is older is forgotten, in the totals it stays."""
    clock = Clock()
    ledger = Ledger(clock)
    ledger.sent(A, "c", 1_000_000)
    clock.now += 2 * WINDOW_S
    ledger.sent(A, "c", 100)
    clock.now += 1
    ledger.sent(A, "c", 300)
    clock.now += 3
    history = ledger.account(2).lan_history
    assert len(history) == WINDOW_S // 2
    assert [*history[-3:]] == [0, 200, 0]
    assert sum(history) == 200
    assert ledger.account().lan_bytes == 1_000_400


def test_the_history_moves_without_changing() -> None:
    """A value keeps its seconds while time passes, so that a curve does not tremble."""
    clock = Clock()
    ledger = Ledger(clock)
    for count in (5, 7, 11, 13):
        ledger.received(A, count)
        clock.now += 1
    before = [*ledger.account(2).wan_history]
    clock.now += 1
    assert [*ledger.account(2).wan_history] == before
    clock.now += 1
    assert [*ledger.account(2).wan_history] == [*before[1:], 0]


def test_no_count_is_lost_between_threads() -> None:
    ledger = Ledger()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(4000):
            pool.submit(ledger.sent, A, "c", 1)
            pool.submit(ledger.received, A, 2)
    account = ledger.account()
    assert (account.lan_bytes, account.wan_bytes) == (4000, 8000)


def test_memory_is_bounded() -> None:
    """However long a file takes."""
    clock = Clock()
    ledger = Ledger(clock)
    for _ in range(3 * WINDOW_S):
        ledger.received(A, 1)
        clock.now += 1
    assert len(ledger._wan._counts) <= WINDOW_S + 1
    assert len(ledger._coming[A]._counts) <= RATE_S + 1
