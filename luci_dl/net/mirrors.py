"""Several addresses for one file: faster ones get more to do, failing ones are dropped."""

from __future__ import annotations

from collections.abc import Mapping

FAILURES = 3
"""So many failures in a row, without a segment brought between them, and a mirror is dropped."""


class Mirrors:
    """The addresses of one artifact, the best first until they are measured."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._rates: dict[str, float | None] = dict.fromkeys(urls)  # of one connection, in bytes a second
        self._failures = dict.fromkeys(urls, 0)

    @property
    def urls(self) -> tuple[str, ...]:
        """Those that are still asked."""
        return tuple(self._rates)

    def pick(self, busy: Mapping[str, int]) -> str:
        """Where the next connection should go, when so many are `busy` at each already.

        An address that was never tried comes first; after that the work is spread as the measured rates are.
        """
        for url, rate in self._rates.items():
            if rate is None and not busy.get(url) and not self._failures[url]:
                return url
        known = [rate for rate in self._rates.values() if rate is not None]
        usual = sum(known) / len(known) if known else 1.0

        def share(url: str) -> float:
            rate = self._rates[url]
            return (usual if rate is None else rate) / (1 + busy.get(url, 0)) / (1 + self._failures[url])

        return max(self._rates, key=share)

    def brought(self, url: str, moved: int, seconds: float) -> None:
        """A connection to `url` brought so many bytes in that time."""
        if url in self._rates and seconds > 0 and moved > 0:
            before, now = self._rates[url], moved / seconds
            self._rates[url] = now if before is None else (before + now) / 2
            self._failures[url] = 0

    def failed(self, url: str, for_good: bool) -> bool:
        """An attempt at one of the `urls` failed. Returns: whether it is dropped now; the last one never is."""
        self._failures[url] += 1
        if len(self._rates) == 1 or not (for_good or self._failures[url] >= FAILURES):
            return False
        del self._rates[url], self._failures[url]
        return True
