"""Several addresses of one file: faster ones get more connections, failing ones are dropped."""

from __future__ import annotations

from collections.abc import Mapping

MAX_FAILURES = 3
"""A mirror is dropped after this many consecutive failures without a byte in between."""


class Mirrors:
    """The addresses of one artifact, in order of preference until their rates are measured."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._rates: dict[str, float | None] = dict.fromkeys(urls)  # bytes per second of one connection
        self._failures = dict.fromkeys(urls, 0)

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses that are still in use."""
        return tuple(self._rates)

    def pick(self, connections: Mapping[str, int]) -> str:
        """The address for the next connection, given the number of current `connections` to each.

        An address that was never tried comes first; after that the measured rates decide.
        """
        for url, rate in self._rates.items():
            if rate is None and not connections.get(url) and not self._failures[url]:
                return url
        known = [rate for rate in self._rates.values() if rate is not None]
        average = sum(known) / len(known) if known else 1.0

        def expected_rate(url: str) -> float:
            rate = self._rates[url]
            return (average if rate is None else rate) / (1 + connections.get(url, 0)) / (1 + self._failures[url])

        return max(self._rates, key=expected_rate)

    def record_transfer(self, url: str, received: int, seconds: float) -> None:
        """Note what one connection to `url` received, and in what time."""
        if url in self._rates and seconds > 0 and received > 0:
            before, now = self._rates[url], received / seconds
            self._rates[url] = now if before is None else (before + now) / 2
            self._failures[url] = 0

    def record_failure(self, url: str, permanent: bool) -> bool:
        """Count a failure at one of the `urls`. Returns: whether that dropped it; the last one is never dropped."""
        self._failures[url] += 1
        if len(self._rates) == 1 or not (permanent or self._failures[url] >= MAX_FAILURES):
            return False
        del self._rates[url], self._failures[url]
        return True
