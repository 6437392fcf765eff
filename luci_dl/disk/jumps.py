"""Bytes that somebody waits for: the next lease begins there. Not for several threads at a time."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence, Sequence

from luci_dl.plan import Lease, Segment

NEAR = 1 << 20
"""What a lease reaches within so many bytes needs no other one; wanted segments begin at multiples of it."""
PIECE = 4 << 20
"""What is fetched there before the gap is filled, unless more is wanted."""


class Jumps:
    """Where the next lease is to begin.

    Attributes:
        wanted: the first bytes, in the order of the wishes.
        leases: on segments that were wanted; whoever ends one removes it.
    """

    def __init__(self) -> None:
        self.wanted: list[int] = []
        self.leases: set[Lease] = set()

    def want(self, offset: int, free: Sequence[Segment], leases: Iterable[Lease]) -> bool:
        """Note a wish. Returns: False if the byte is written, or about to be, or wanted already."""
        soon = [(lease.stored, lease.pos) for lease in leases]
        soon += [(segment.start, segment.start) for segment in free[:1]]
        missing = [*free, *(Segment(lease.pos, lease.end) for lease in leases)]
        if (
            offset in self.wanted
            or any(start <= offset < position + NEAR for start, position in soon)
            or not any(_holds(segment, offset) for segment in missing)
        ):
            return False
        self.wanted.append(offset)
        return True

    def take(self, free: MutableSequence[Segment], limit: int) -> int | None:
        """Fulfil the first wish that is still missing and below the limit: its segment is cut off there.

        Returns: the number of the segment in `free`; None without one.
        """
        while self.wanted:
            offset = self.wanted.pop(0)
            for number, segment in enumerate(free):
                if offset < limit and _holds(segment, offset):
                    start = max(segment.start, offset - offset % NEAR)
                    before = [Segment(segment.start, start)] if segment.start < start else []
                    free[number : number + 1] = [*before, Segment(start, segment.end)]
                    return number + len(before)
        return None


def _holds(segment: Segment, offset: int) -> bool:
    return segment.start <= offset and (segment.end is None or offset < segment.end)
