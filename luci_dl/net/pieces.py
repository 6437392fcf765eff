"""How a file is cut into pieces, each for one request: in order, and once.

A transfer that goes well keeps its piece. Only an open one, whose request has no end, gives up what lies far ahead of
it: that ends no connection before its time. Near the end of the file, a piece that takes long is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from luci_dl.net.rate_meter import RateMeter
from luci_dl.plan import PAGE, WINDOW, Lease, Sink

PIECE_BYTES = 32 << 20
"""A piece of a large file."""
MIN_PIECE_BYTES = 1 << 20
OPEN_PIECES = 4
"""An open transfer keeps up to this many pieces for itself when others join: its connection is lost where it ends."""
SHARE_S, SHARE_ROUND_TRIPS = 0.3, 3
"""The last pieces are shared if each half takes this long, in seconds and round trips: a request takes one, and then
the connection gets up to speed."""
SLOW_S, SLOW_ROUND_TRIPS = 1.0, 10
"""A connection may be slow for this long before it counts as slow; and it may end its piece if that takes no longer."""
RATE_S = 1.0
"""Rates change quickly: when a connection ends, the others take its share of the line. They are measured so long."""
FULL = 0.75
"""While all connections together reach this share of the best rate so far, the line is full, and one more connection
would only take from the others."""
SLOW_FACTOR = 4.0
"""A connection that is slower than the others by this factor loses its piece."""
AWAITED_FACTOR, AWAITED_SLOW_S = 2.0, 0.5
"""So does one that somebody waits for who reads the file while it comes, by this factor, after so many seconds;"""
AWAITED_S = 0.5
"""that was seen within so many seconds."""


class Piece(Protocol):
    """A piece on its way."""

    @property
    def lease(self) -> Lease: ...

    @property
    def is_open(self) -> bool:
        """Its request has no end: its connection can bring all that follows."""
        ...

    @property
    def rate(self) -> float:
        """Bytes a second."""
        ...

    @property
    def is_waiting(self) -> bool:
        """It waits for the network."""
        ...

    def age(self, now: float) -> float:
        """Seconds since the response came; 0 before."""
        ...


P = TypeVar("P", bound=Piece)


class Pieces:
    """The pieces of one file. Not for several threads at a time."""

    def __init__(self, sink: Sink, most: int) -> None:
        """`most`: the most connections there can be; a file that is not large is cut into so many pieces."""
        self._sink = sink
        self._count = most
        self._claimed = 0
        self._best_rate = 0.0  # bytes per second of all connections together
        self._sharing = 1  # connections that had it together
        self._meter = RateMeter(RATE_S)
        self._began: float | None = None

    @property
    def length(self) -> int:
        """Bytes of a piece: whole MiB, or whole pages of a small file."""
        share = -(-(self._sink.size or 0) // self._count)
        unit = MIN_PIECE_BYTES if share > 8 * MIN_PIECE_BYTES else PAGE
        return min(PIECE_BYTES, max(MIN_PIECE_BYTES, -(-share // unit) * unit))

    def claim(self, connections: int) -> Lease | None:
        """The next piece; all that is missing in a row, if there is only one connection. None when none is free."""
        length = self.length
        lease = self._sink.claim() if connections == 1 else self._sink.claim(length, within=WINDOW - length)
        self._claimed += lease is not None
        return lease

    def fills_line(self, connections: int, now: float) -> bool:
        """Whether bytes come as fast as ever before. To be called now and then: it remembers the best rate."""
        rate = self._meter.add(now, self._sink.received)
        self._began = now if self._began is None else self._began
        if rate > self._best_rate and now - self._began >= RATE_S:  # before, it may be that of a burst
            self._best_rate, self._sharing = rate, max(1, connections)
        return rate >= self._best_rate * FULL

    def crawling(self, pieces: Sequence[P], round_trip_s: float, now: float) -> P | None:
        """The piece whose connection is much slower than the others are or were, if it takes long."""
        patience_s = SLOW_S + SLOW_ROUND_TRIPS * round_trip_s
        known = [piece for piece in pieces if piece.age(now) > patience_s]
        expected = self._best_rate / max(self._sharing, len(pieces))  # if they share a full line
        slow = [piece for piece in known if piece.rate * SLOW_FACTOR < expected]
        slowest = min(slow, key=lambda piece: piece.rate, default=None)
        return slowest if slowest and _left_s(slowest) > patience_s else None

    def hand_over(self, pieces: Sequence[Piece], round_trip_s: float, now: float) -> None:
        """Free the rest of a piece that somebody waits for, if its connection is slower than another one.

        The next that ends its own piece takes it: one that was made now would begin slowly on a full line. Until then
        this one goes on for a moment.
        """
        patience_s = AWAITED_SLOW_S + SLOW_ROUND_TRIPS * round_trip_s
        known = [piece for piece in pieces if piece.age(now) > patience_s]
        fastest = max((piece.rate for piece in known), default=0.0)
        for piece in known:
            is_awaited = piece.lease.awaited >= now - AWAITED_S
            if is_awaited and piece.rate * AWAITED_FACTOR < fastest and _left_s(piece) > 2 * patience_s:
                self._sink.shorten(piece.lease, _rounded(piece.lease.pos + int(piece.rate * patience_s) + 1))

    def share_open(self, pieces: Sequence[Piece], connections: int) -> None:
        """Free what lies far ahead of an open piece."""
        for lease in (piece.lease for piece in pieces if piece.is_open and piece.lease.end):
            left, length = (lease.end or 0) - lease.pos, self.length
            kept = max(length, min(left // connections, OPEN_PIECES * length))
            end = round((lease.pos + kept) / length) * length
            if (lease.end or 0) - end >= MIN_PIECE_BYTES:
                self._sink.shorten(lease, end)

    def share_last(self, pieces: Sequence[Piece], round_trip_s: float, now: float) -> bool:
        """Halve the piece that will take longest, if that takes long. Returns: whether it did.

        That must not cost more requests than the file is worth.
        """
        cost_s = SHARE_S + SHARE_ROUND_TRIPS * round_trip_s
        longest = max((piece for piece in pieces if piece.age(now) > cost_s), key=_left_s, default=None)
        if not longest or not longest.is_waiting or _left_s(longest) < 2 * cost_s:
            return False
        if self._claimed >= self._count + (self._sink.size or 0) // PIECE_BYTES:
            return False
        lease = longest.lease
        half = ((lease.end or lease.pos) - lease.pos) // 2
        return half >= MIN_PIECE_BYTES and self._sink.shorten(lease, _rounded(lease.pos + half))


def _left_s(piece: Piece) -> float:
    """Seconds until the piece is complete, at its rate."""
    left = (piece.lease.end or piece.lease.pos) - piece.lease.pos
    return left / piece.rate if piece.rate else float("inf") if left else 0.0


def _rounded(offset: int) -> int:
    """Up to a whole page."""
    return -(-offset // PAGE) * PAGE
