"""Which sender brought which bytes of a part, to name the one that sends wrong ones."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from luci_dl.disk.blocks import BLOCK, Blocks, count, extent
from luci_dl.plan import Lease, Remote, Segment


class Sender(NamedTuple):
    """An address that was asked, and the host that sent the bytes: another one after a redirect."""

    url: str
    host: str


class Senders:
    """The senders of the bytes that a part has from this run. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Lease, tuple[int, Sender]] = {}
        self._runs: list[tuple[int, int, Sender]] = []

    def begin(self, lease: Lease, remote: Remote) -> None:
        """What is written with the lease from here on comes from there."""
        with self._lock:
            self._end(lease)
            self._open[lease] = lease.pos, Sender(remote.url, remote.served_by)

    def end(self, lease: Lease) -> None:
        """Nothing more is written with the lease."""
        with self._lock:
            self._end(lease)

    def _end(self, lease: Lease) -> None:
        start, sender = self._open.pop(lease, (lease.pos, None))
        if sender and start < lease.pos:
            self._runs.append((start, lease.pos, sender))

    def forget(self, segments: Iterable[Segment]) -> None:
        """The bytes of these segments are missing again. All leases are revoked."""
        with self._lock:
            for lease in list(self._open):
                self._end(lease)
            for segment in segments:
                self._cut(segment.start, segment.end)

    def _cut(self, first: int, last: int | None) -> None:
        runs, self._runs = self._runs, []
        for start, end, sender in runs:
            kept = [(start, min(end, first))] + ([(max(start, last), end)] if last is not None else [])
            self._runs += [(low, high, sender) for low, high in kept if low < high]

    def sent(self, blocks: Blocks, size: int) -> dict[Sender, Blocks]:
        """Of each sender those of the `blocks` of a file of `size` bytes that it sent whole."""
        with self._lock:
            shares = Counter[tuple[int, Sender]]()
            for start, end, sender in self._runs:
                for number in range(start // BLOCK, count(end)):
                    first, last = extent(number, end)
                    shares[number, sender] += last - max(start, first)
        found: dict[Sender, Blocks] = {}
        for (number, sender), share in shares.items():
            first, last = extent(number, size)
            if share == last - first:
                found.setdefault(sender, Blocks())[number] = blocks[number]
        return found
