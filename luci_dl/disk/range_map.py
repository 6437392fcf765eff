"""Which bytes of a file are written, and by whom the others may be: each range has at most one writer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from luci_dl.disk.jumps import NEAR, PIECE, Jumps
from luci_dl.plan import WINDOW, Lease, Revoked, Segment

EXTEND_S = 1.0
"""How long a lease whose segment is complete waits for the lease behind it to get its first byte."""


class RangeMap:
    """The segments of one file: free, leased, or written. Any thread may call.

    Args:
        missing: the segments that are free, in order; the others are written.
        store: called with a lease that ends or is complete, under its lock: passes on what was collected of it, and
            moves `stored`.

    Attributes:
        received: bytes that are written, at the frontier or beyond.
        fetched: bytes that were written in all; those that had to be fetched again count again.
        size: bytes of the file; None while that is unknown.
        restarts: how often bytes that were written count as missing again.
    """

    def __init__(self, missing: Sequence[Segment], size: int | None, store: Callable[[Lease], None]) -> None:
        self.fetched = self.restarts = 0
        self._jumps = Jumps()
        self._lock = threading.Lock()  # always taken after the lock of a lease
        self._leases: list[Lease] = []
        self._closed = False
        self._store = store
        self._reset(missing, size)

    def _reset(self, missing: Sequence[Segment], size: int | None) -> None:
        self._halted = False
        self.size = size
        self._free = [segment for segment in missing if segment.start != segment.end]
        end = self._free[-1].start if self._free and size is None else size or 0
        self.received = end - sum(segment.end - segment.start for segment in self._free if segment.end is not None)

    def claim(self, piece: int | None = None, within: int | None = None) -> Lease | None:
        """A lease on the first free segment; on one that is wanted, if there is one.

        Args:
            piece: take it to the next multiple of this, in bytes, or to the one after that if that is near.
            within: how far beyond the bytes written in order it may begin, in bytes.

        Returns: None when no segment is free, or none that begins so near.
        """
        with self._lock:
            if not self._free or self._halted or self._closed:
                return None
            limit = self._missing_from(lambda lease: lease.pos) + (WINDOW // 2 if within is None else within)
            wanted = self._jumps.take(self._free, limit)
            segment, number = self._free[wanted or 0], wanted or 0
            if within is not None and segment.start >= limit:
                return None
            piece = piece if wanted is None else PIECE
            end = segment.end
            if piece is not None:
                limit = (segment.start // piece + 1) * piece
                limit += piece if limit - segment.start < piece // 4 else 0
                end = limit if end is None else min(end, limit)
            self._free[number : number + 1] = [] if end == segment.end else [Segment(end or 0, segment.end)]
            lease = Lease(Segment(segment.start, end))
            self._leases.append(lease)
            if wanted is not None:
                self._jumps.leases.add(lease)
            return lease

    def want(self, offset: int) -> None:
        """Somebody waits for the byte: if it is neither there nor coming, a lease ends, and the next begins there."""
        with self._lock:
            for lease in self._leases:
                if lease.stored <= offset and (lease.end is None or offset < lease.end):
                    lease.awaited = time.monotonic()
            if not self._jumps.want(offset, self._free, self._leases):
                return
            ended = [lease for lease in self._leases if lease.end is not None]
            longest = max(ended, key=lambda lease: (lease.end or 0) - lease.pos, default=None)
        if longest:
            self.shorten(longest, (longest.pos // NEAR + 2) * NEAR)

    def write(self, lease: Lease, length: int, put: Callable[[int, int], None]) -> int:
        """Call `put` with the lease's position and how many of `length` bytes may be written there, and move on.

        Returns: that number. Raises: Revoked; whatever `put` raises.
        """
        with lease.lock:
            if lease.revoked:
                raise Revoked
            taken = length if lease.end is None else min(length, lease.end - lease.pos)
            put(lease.pos, taken)
            with self._lock:
                lease.pos += taken
            if lease.pos == lease.end:
                self._store(lease)
            with self._lock:
                self.received += taken
                self.fetched += taken
            return taken

    def place(self, start: int, end: int) -> None:
        """Count these bytes as written, without a lease. Raises: Revoked, when they are not free."""
        with self._lock:
            free = next((each for each in self._free if _contains(each, start, end)), None)
            if free is None or self._halted or self._closed:
                raise Revoked
            number, around = self._free.index(free), (Segment(free.start, start), Segment(end, free.end))
            self._free[number : number + 1] = [each for each in around if each.start != each.end]
            self.received += end - start
            self.fetched += end - start

    def store(self, lease: Lease) -> None:
        """Pass on what was collected of the lease."""
        with lease.lock:
            self._store(lease)

    def shorten(self, lease: Lease, end: int) -> bool:
        """End the lease at `end`; what lies beyond is free again. False when it has been written that far already."""
        with lease.lock, self._lock:
            if lease.revoked or lease.end is None or not lease.pos < end < lease.end:
                return False
            self._free = merged([*self._free, Segment(end, lease.end)])
            lease.end = end
            return True

    def extend(self, lease: Lease) -> bool:
        """Let the lease continue to the end of the free segment that follows it. False when none does, or another one
        is wanted.

        Waits for a moment if another lease begins there and has not got a byte: it may be refused.
        """
        deadline = time.monotonic() + EXTEND_S
        while True:
            with lease.lock, self._lock:
                if self._jumps.wanted:
                    return False
                following = next((segment for segment in self._free if segment.start == lease.end), None)
                if following and not lease.revoked:
                    self._free.remove(following)
                    lease.end = following.end
                    return True
                may_be_refused = any(other.pos == lease.end for other in self._leases if other is not lease)
            if lease.revoked or not may_be_refused or time.monotonic() > deadline:
                return False
            time.sleep(0.01)

    def revoke(self, lease: Lease) -> None:
        """End the lease, after a write under way; what was not written is free again. Harmless twice."""
        with lease.lock:
            lease.revoked = True
            self._store(lease)
            with self._lock:
                self._jumps.leases.discard(lease)
                if lease in self._leases:
                    self._leases.remove(lease)
                    if lease.pos != lease.end:
                        self._free = merged([*self._free, Segment(lease.pos, lease.end)])

    def halt(self) -> None:
        """Revoke all leases, after writes under way. Nothing can be claimed until `restart`."""
        with self._lock:
            self._halted = True
            leases = list(self._leases)
        for lease in leases:
            self.revoke(lease)

    def restart(self, missing: Sequence[Segment], size: int | None) -> None:
        """After `halt`: these segments can be claimed, and all others count as written."""
        with self._lock:
            self.restarts += 1
            self._reset(missing, size)

    @property
    def missing(self) -> list[Segment]:
        """The segments that are free, in order."""
        with self._lock:
            return list(self._free)

    def learn_size(self, size: int) -> None:
        """Give the segment that had no end the size, now known, as its end."""
        with self._lock:
            self.size = size
            for lease in self._leases:
                lease.end = size if lease.end is None else lease.end
            ended = (Segment(part.start, size if part.end is None else part.end) for part in self._free)
            self._free = [part for part in ended if part.start != part.end]

    def close(self) -> None:
        """Revoke all leases and allow no new ones, for good. Does not wait for writes under way."""
        with self._lock:
            self._closed = True
            for lease in self._leases:
                lease.revoked = True

    @property
    def has_gap(self) -> bool:
        """Whether a segment before all leases is free, and none of them is wanted.

        Writing comes to wait for it, if nobody claims it.
        """
        with self._lock:
            return (
                not self._jumps.leases
                and bool(self._free and self._leases)
                and self._free[0].start < min(lease.pos for lease in self._leases)
            )

    @property
    def written(self) -> int:
        """Every byte below was stored."""
        with self._lock:
            return self._missing_from(lambda lease: lease.stored)

    def stored_from(self, offset: int) -> int:
        """The first byte from `offset` on that was not stored."""
        with self._lock:
            gaps = [*self._free, *(Segment(lease.stored, lease.end) for lease in self._leases)]
            starts = [max(gap.start, offset) for gap in gaps if gap.end is None or max(gap.start, offset) < gap.end]
            return min(starts, default=max(offset, self.size or 0))

    def _missing_from(self, position: Callable[[Lease], int]) -> int:
        """The first byte that is missing, where a lease has every byte below its position."""
        starts = [position(lease) for lease in self._leases if position(lease) != lease.end]
        starts += [segment.start for segment in self._free[:1]]
        return min(starts, default=self.size or 0)


def _contains(segment: Segment, start: int, end: int) -> bool:
    return segment.start <= start and (segment.end is None or end <= segment.end)


def merged(segments: Iterable[Segment]) -> list[Segment]:
    """The segments in order, those that meet or overlap as one, which takes one request."""
    merged: list[Segment] = []
    for each in sorted(segments, key=lambda each: each.start):
        last = merged[-1] if merged else None
        if last is None or (last.end is not None and last.end < each.start):
            merged.append(each)
        elif last.end is not None and (each.end is None or each.end > last.end):
            merged[-1] = Segment(last.start, each.end)
    return merged
