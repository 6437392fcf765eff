"""The addresses of one file: faster ones get more connections, failing ones are dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from luci_dl.net.redirects import Location
from luci_dl.net.situation import PATIENCE

SHORT_S = 1.0
"""An address behind a redirect that is refused so soon has not expired: it serves one request, or not so many."""
MAX_FAILURES = 3
"""A mirror is dropped after this many consecutive failures without a byte in between."""


@dataclass(eq=False)
class Address:
    """One address, and what it has shown so far.

    Attributes:
        rate: bytes per second of one connection; None until measured.
        failures: in a row, of any kind.
        served: it has served bytes.
        range_served: a range that was requested as such.
        barren: attempts in a row that brought no byte.
        in_vain: ranges that brought no byte while the whole file was served.
        redirects: it has redirected a request.
        location: where to, as long as that serves; None to ask the address itself.
    """

    url: str = field(repr=False)
    rate: float | None = None
    failures: int = 0
    served: bool = False
    range_served: bool = False
    barren: int = 0
    in_vain: int = 0
    redirects: bool = False
    location: Location | None = None
    _learned: float = 0.0  # when
    _short_lived: int = 0  # locations in a row that were refused after a short time

    def expected_rate(self, connections: int, average: float) -> float:
        """Of one more connection beside those; `average`: for an address whose rate is not known."""
        rate = average if self.rate is None else self.rate
        return rate / (1 + connections) / (1 + self.failures)

    def learn_location(self, found: Location, now: float) -> None:
        """Note where it redirected a request; nothing when that was answered in place."""
        if found.url != self.url:
            self.redirects, self._learned = True, now
            self.location = found if self._short_lived < PATIENCE else None

    def forget_location(self, refused: Location | None, now: float) -> None:
        """Ask the address itself again, if that is not done already; before every request, if that comes too often."""
        if refused is not None and self.location is refused:
            self.location = None
            self._short_lived = self._short_lived + 1 if now - self._learned < SHORT_S else 0


class Mirrors:
    """The addresses of one artifact, in order of preference until their rates are measured."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._in_use = {url: Address(url) for url in urls}

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses that are still in use."""
        return tuple(self._in_use)

    @property
    def in_use(self) -> tuple[Address, ...]:
        return tuple(self._in_use.values())

    def pick(self, connections: Mapping[str, int]) -> Address:
        """The address for the next connection, given the number of current `connections` to each.

        An address that was never tried comes first; after that the measured rates decide.
        """
        for address in self.in_use:
            if address.rate is None and not connections.get(address.url) and not address.failures:
                return address
        known = [address.rate for address in self.in_use if address.rate is not None]
        average = sum(known) / len(known) if known else 1.0
        return max(self.in_use, key=lambda address: address.expected_rate(connections.get(address.url, 0), average))

    def record_transfer(self, url: str, received: int, seconds: float) -> None:
        """Note what one connection to `url` received, and in what time."""
        address = self._in_use.get(url)
        if address and seconds > 0 and received > 0:
            rate = received / seconds
            address.rate = rate if address.rate is None else (address.rate + rate) / 2
            address.failures = 0

    def record_failure(self, url: str, permanent: bool) -> bool:
        """Count a failure at one of the `urls`. Returns: whether that dropped it; the last one is never dropped."""
        address = self._in_use[url]
        address.failures += 1
        if len(self._in_use) == 1 or not (permanent or address.failures >= MAX_FAILURES):
            return False
        del self._in_use[url]
        return True
