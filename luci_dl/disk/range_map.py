"""Who may write where: a range has one writer, and nothing is written below the frontier."""

from __future__ import annotations

import threading
from collections.abc import Callable

from luci_dl.plan import Lease, Revoked, Segment


class RangeMap:
    """The segments of one file: free, leased, or written. Any thread may call.

    Attributes:
        received: bytes that are there, at the frontier or beyond.
        fetched: bytes that were written in all, those that had to be fetched again counted again.
    """

    def __init__(self, start: int, size: int | None) -> None:
        self.fetched = 0
        self._lock = threading.Lock()  # always taken after a lease's own
        self._leases: list[Lease] = []
        self._closed = False
        self._reset(start, size)

    def _reset(self, start: int, size: int | None) -> None:
        self.received = start
        self._halted = False
        self._size = size
        self._free = [] if start == size else [Segment(start, size)]  # in order

    def claim(self, at_most: int | None = None, within: int | None = None) -> Lease | None:
        """A lease on the first free segment.

        Args:
            at_most: bytes to take of it.
            within: how far beyond what is written in order it may reach, in bytes.

        Returns: None when nothing is free, or nothing so near.
        """
        with self._lock:
            if not self._free or self._halted or self._closed:
                return None
            segment = self._free[0]
            if within is not None and segment.start >= self._written() + within:
                return None
            end = segment.end
            if at_most is not None and (end is None or end - segment.start > at_most):
                end = segment.start + at_most
            self._free[:1] = [] if end == segment.end else [Segment(end or 0, segment.end)]
            lease = Lease(Segment(segment.start, end))
            self._leases.append(lease)
            return lease

    def write(self, lease: Lease, length: int, put: Callable[[int, int], None]) -> tuple[int, int]:
        """Call `put` with the lease's position and how many of the `length` bytes it may still write there.

        Returns: the latter, and the offset below which every byte was put. Raises: Revoked; what `put` raises.
        """
        with lease.lock:
            if lease.revoked:
                raise Revoked
            offset = lease.pos
            taken = length if lease.end is None else min(length, lease.end - offset)
            put(offset, taken)
            with self._lock:
                lease.pos += taken
                self.received += taken
                self.fetched += taken
                return taken, self._written()

    def shorten(self, lease: Lease, end: int) -> bool:
        """Have the lease end at `end`; what lies beyond is free again. False when it has come that far already."""
        with lease.lock, self._lock:
            if lease.revoked or lease.end is None or not lease.pos < end < lease.end:
                return False
            self._free_again(Segment(end, lease.end))
            lease.end = end
            return True

    def revoke(self, lease: Lease) -> None:
        """End the lease, waiting for a write under way; what it did not write is free again. Harmless twice."""
        with lease.lock, self._lock:
            lease.revoked = True
            if lease in self._leases:
                self._leases.remove(lease)
                if lease.pos != lease.end:
                    self._free_again(Segment(lease.pos, lease.end))

    def _free_again(self, segment: Segment) -> None:
        """Neighbours become one segment: one request for both."""
        merged: list[Segment] = []
        for each in sorted([*self._free, segment], key=lambda each: each.start):
            if merged and merged[-1].end == each.start:
                merged[-1] = Segment(merged[-1].start, each.end)
            else:
                merged.append(each)
        self._free = merged

    def halt(self) -> None:
        """Revoke all leases: no write happens after this returns, and no claim succeeds until `restart`."""
        with self._lock:
            self._halted = True
            leases = list(self._leases)
        for lease in leases:
            self.revoke(lease)

    def restart(self, size: int | None) -> None:
        """Count every byte as missing, so that all can be claimed again. Only after `halt`."""
        with self._lock:
            self._reset(0, size)

    def learn_size(self, size: int) -> None:
        """The size is known now: the segment that had no end gets one."""
        with self._lock:
            self._size = size
            for lease in self._leases:
                lease.end = size if lease.end is None else lease.end
            ended = (Segment(part.start, size if part.end is None else part.end) for part in self._free)
            self._free = [part for part in ended if part.start != part.end]

    def close(self) -> None:
        """No more claims, and no more writes but those under way, for which this does not wait."""
        with self._lock:
            self._closed = True
            for lease in self._leases:
                lease.revoked = True

    @property
    def written(self) -> int:
        """Every byte below is on disk, synced or not."""
        with self._lock:
            return self._written()

    def _written(self) -> int:
        starts = [lease.pos for lease in self._leases if lease.pos != lease.end]
        starts += [segment.start for segment in self._free[:1]]
        return min(starts, default=self._size or 0)
