"""Who shares a file with whom: the hosts that announce themselves, for a short time each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from luci_dl.frozen import frozen
from luci_dl.net.origin import is_loopback

MOST, MOST_EACH, NAMED = 2000, 8, 50
"""Hosts of one file, those with one address, and those named to one that asks."""
_INTERVALS = 3
"""An announcement counts for so many times the interval."""


@frozen
class Host:
    """One that shares a file.

    Attributes:
        kind: of the address: those of one kind can reach each other.
        missing: bytes that it has not got; 0 for one that only sends.
        until: when its announcement counts no more, by the tracker's clock.
    """

    address: str
    port: int
    kind: tuple[int, bool]
    missing: int
    until: float


@frozen
class Others:
    """What a host is told.

    Attributes:
        hosts: some of the others.
        fetching: how many of all others have not got the whole file.
        interval: seconds until it should announce itself again.
    """

    hosts: Sequence[Host]
    fetching: int
    interval: float


class Tracker:
    """Keeps the hosts of each file. For the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hosts: dict[str, dict[tuple[str, int], Host]] = {}

    def announce(self, sha256: str, address: str, port: int, missing: int) -> Others:
        """Note a host at the address that it asks from. Returns: the others."""
        now, key, kind = self._clock(), (address, port), _kind(address)
        hosts = {each: host for each, host in self._hosts.get(sha256, {}).items() if host.until > now}
        interval = 1.0 + len(hosts) / 50  # a server with many hosts is asked no more often than one with few
        same = sum(host.address == address for host in hosts.values())
        if key in hosts or (len(hosts) < MOST and same < MOST_EACH):
            hosts[key] = Host(address, port, kind, missing, now + _INTERVALS * interval)
        self._hosts[sha256] = hosts
        others = [host for each, host in hosts.items() if each != key]
        reachable = [host for host in others if host.kind == kind]
        named = random.sample(reachable, min(NAMED, len(reachable)))
        return Others(named, sum(host.missing > 0 for host in others), interval)

    def tend(self) -> None:
        """Forget the files that nobody shares any more."""
        now = self._clock()
        self._hosts = {
            sha256: hosts for sha256, hosts in self._hosts.items() if any(host.until > now for host in hosts.values())
        }


def _kind(address: str) -> tuple[int, bool]:
    """The version of IP, and whether it is on the server's machine."""
    try:
        return ip_address(address).version, is_loopback(address)
    except ValueError:
        return 0, False
