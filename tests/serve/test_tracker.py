"""Hosts that share a file hear of each other, within limits."""

from __future__ import annotations

from luci_dl.serve.tracker import MOST, MOST_EACH, NAMED, Tracker

FILE, OTHER = "a" * 64, "b" * 64


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def hosts_of(tracker: Tracker, address: str, port: int = 1, missing: int = 5, file: str = FILE) -> set[tuple[str, int]]:
    return {(host.address, host.port) for host in tracker.announce(file, address, port, missing).hosts}


def test_hosts_of_a_file_hear_of_each_other() -> None:
    """Not of themselves, and not of those of another file."""
    tracker = Tracker()
    assert hosts_of(tracker, "10.0.0.1") == set()
    assert hosts_of(tracker, "10.0.0.2") == {("10.0.0.1", 1)}
    assert hosts_of(tracker, "10.0.0.1") == {("10.0.0.2", 1)}
    assert hosts_of(tracker, "10.0.0.3", file=OTHER) == set()


def test_those_that_still_fetch_are_counted() -> None:
    """So that those that have all of it know whether somebody needs them."""
    tracker = Tracker()
    tracker.announce(FILE, "10.0.0.1", 1, 5)
    assert tracker.announce(FILE, "10.0.0.2", 1, 0).fetching == 1
    tracker.announce(FILE, "10.0.0.1", 1, 0)
    assert tracker.announce(FILE, "10.0.0.2", 1, 0).fetching == 0


def test_a_host_that_is_silent_is_forgotten() -> None:
    """Soon."""
    clock = Clock()
    tracker = Tracker(clock)
    interval = tracker.announce(FILE, "10.0.0.1", 1, 5).interval
    assert hosts_of(tracker, "10.0.0.3") == {("10.0.0.1", 1)}
    clock.now = 4 * interval
    tracker.tend()
    assert hosts_of(tracker, "10.0.0.4") == set()


def test_nobody_fills_the_list() -> None:
    """One address has a few places, the list has many, an answer has some of them."""
    tracker = Tracker(Clock())
    for port in range(2 * MOST_EACH):
        hosts_of(tracker, "10.0.0.1", port + 1)
    assert len(hosts_of(tracker, "10.0.0.2")) == MOST_EACH
    for number in range(MOST):
        tracker.announce(FILE, f"10.1.{number // 250}.{number % 250}", 1, 5)
    answer = tracker.announce(FILE, "10.2.0.1", 1, 5)
    assert len(answer.hosts) == NAMED
    assert answer.fetching == MOST


def test_addresses_that_lead_elsewhere_are_not_told() -> None:
    """Loopback is another machine elsewhere, and IPv4 cannot be reached from IPv6."""
    tracker = Tracker()
    for address in ("127.0.0.1", "10.0.0.1", "fd00::1"):
        tracker.announce(FILE, address, 1, 5)
    assert hosts_of(tracker, "10.0.0.2") == {("10.0.0.1", 1)}
    assert hosts_of(tracker, "127.0.0.2") == {("127.0.0.1", 1)}
    assert hosts_of(tracker, "fd00::2") == {("fd00::1", 1)}
