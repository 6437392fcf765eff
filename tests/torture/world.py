"""A world in which waiting takes no time: delays between attempts are counted instead, and segments are small."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from unittest.mock import patch
from urllib.parse import urlsplit

import trustme

from luci_dl.disk import backlog
from luci_dl.net import client, connections, fetch, pieces, rate_meter, tune, worker_pool
from luci_dl.net.retry import AttemptFailed

KIB = 1 << 10
SILENCE_S = 1.5
"""How long to wait for a byte."""
BRISK = 50
"""Pauses while other connections are at work are that much shorter."""
SMALL = {
    (pieces, "WINDOW"): 512 * KIB,
    (pieces, "PIECE_BYTES"): 64 * KIB,
    (pieces, "MIN_PIECE_BYTES"): 64 * KIB,
    (worker_pool, "BLOCK_BYTES"): 256 * KIB,
    (pieces, "SHARE_S"): 0.3,
    (pieces, "SLOW_S"): 0.3,
    (backlog, "SYNC_EVERY"): 256 * KIB,
    (backlog, "AHEAD"): 1024 * KIB,
    (tune, "MEASURE_S"): 0.1,
    (fetch, "TICK_S"): 0.02,
    (connections, "FIRST_BYTE_S"): SILENCE_S,
    (connections, "READ_S"): SILENCE_S,
    (rate_meter, "STALL_S"): SILENCE_S,
    (client, "_MESSAGE_S"): 0.1,
}


@cache
def authority() -> trustme.CA:
    """Signs the certificates of all servers."""
    return trustme.CA()


class Clock:
    """The time of one case: the real one, and the delays that were not waited for."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self.began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


class Clocks:
    """The clocks of the cases that are running, by the ports of their servers."""

    def __init__(self) -> None:
        self._clocks: dict[int | None, Clock] = {}
        self._lock = threading.Lock()

    def set(self, ports: Sequence[int], clock: Clock) -> None:
        with self._lock:
            self._clocks.update(dict.fromkeys(ports, clock))

    def of(self, url: str) -> Clock:
        with self._lock:
            return self._clocks[urlsplit(url).port]


CLOCKS = Clocks()


class _Hasty(fetch.Fetch):
    """A fetch that does not wait between attempts."""

    def _pause_after(self, failures: Sequence[AttemptFailed], now: float) -> float:
        delay = super()._pause_after(failures, now)
        waited = delay / BRISK if len(self._pool) else 0.0
        CLOCKS.of(self._artifact.urls[0]).skipped += delay - waited
        return waited


@contextmanager
def small_world() -> Iterator[None]:
    """Patch the limits, and what waits."""
    with ExitStack() as patches:
        for (module, name), value in SMALL.items():
            patches.enter_context(patch.object(module, name, value))
        patches.enter_context(patch.object(fetch, "Fetch", _Hasty))
        yield
