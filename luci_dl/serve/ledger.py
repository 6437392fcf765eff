"""How many bytes came in and went out, and how fast."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence

from luci_dl.frozen import frozen

WINDOW_S = 600
"""How far back rates are known, in seconds."""
RATE_S = 3
"""The rate of now is the mean of so many seconds."""


class Meter:
    """Bytes counted by the second; those of the last `window` seconds are kept one by one."""

    def __init__(self, window: int = WINDOW_S) -> None:
        self.total = 0
        self._window = window
        self._counts: deque[tuple[int, int]] = deque()

    def add(self, count: int, now: int) -> None:
        """Count bytes of the second `now`, which never goes back."""
        self.total += count
        if self._counts and self._counts[-1][0] == now:
            count += self._counts.pop()[1]
        self._counts.append((now, count))
        while self._counts[0][0] < now - self._window:
            self._counts.popleft()

    def rate(self, now: int) -> int:
        """Bytes a second, of the seconds before `now`."""
        total = 0
        for second, count in reversed(self._counts):
            if second < now - RATE_S:
                break
            total += count if second < now else 0
        return total // RATE_S

    def history(self, now: int, step: int) -> Sequence[int]:
        """Bytes a second for each `step` seconds that lie wholly in the window, the oldest first."""
        end = now - now % step
        sums = [0] * (self._window // step)
        for second, count in self._counts:
            at = (second - end) // step + len(sums)
            if 0 <= at < len(sums):
                sums[at] += count
        return [count // step for count in sums]


@frozen
class Account:
    """What the ledger says at one moment.

    Attributes:
        wan_bytes, wan_rate: fetched; lan_bytes, lan_rate: sent to clients.
        wan_history, lan_history: bytes a second, the oldest first.
        clients: how many have got bytes.
        sent: bytes of each file, by its SHA-256.
        rates: at which each file that is being fetched comes, by its SHA-256.
    """

    wan_bytes: int
    lan_bytes: int
    wan_rate: int
    lan_rate: int
    wan_history: Sequence[int]
    lan_history: Sequence[int]
    clients: int
    sent: Mapping[str, int]
    rates: Mapping[str, int]


class Ledger:
    """Counts since the server was started. Any thread may call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._wan, self._lan = Meter(), Meter()
        self._coming: defaultdict[str, Meter] = defaultdict(lambda: Meter(RATE_S))
        self._sent: defaultdict[str, int] = defaultdict(int)
        self._clients = set[str]()

    def received(self, sha256: str, count: int) -> None:
        """Bytes of a file have come from its server."""
        with self._mutex:
            now = int(self._clock())
            self._wan.add(count, now)
            self._coming[sha256].add(count, now)

    def sent(self, sha256: str, client: str, count: int) -> None:
        """Bytes of a file have been sent to a client."""
        with self._mutex:
            self._lan.add(count, int(self._clock()))
            self._sent[sha256] += count
            self._clients.add(client)

    def account(self, step: int = 1) -> Account:
        """What is known now; `step` seconds for each value of the histories."""
        with self._mutex:
            now = int(self._clock())
            rates = {sha256: meter.rate(now) for sha256, meter in self._coming.items()}
            return Account(
                wan_bytes=self._wan.total,
                lan_bytes=self._lan.total,
                wan_rate=self._wan.rate(now),
                lan_rate=self._lan.rate(now),
                wan_history=self._wan.history(now, step),
                lan_history=self._lan.history(now, step),
                clients=len(self._clients),
                sent=dict(self._sent),
                rates=rates,
            )
