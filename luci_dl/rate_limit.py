"""How fast luci may download, which may depend on the time of day."""

from __future__ import annotations

from luci_dl.frozen import frozen

DAY = 24 * 60
"""Minutes of a day."""


@frozen
class Span:
    """A part of every day and its rate. It goes over midnight if it ends before it begins.

    Attributes:
        begin, end: minutes after midnight, local time; different from each other.
        rate: bytes per second; None for no limit.
    """

    begin: int
    end: int
    rate: int | None

    def covers(self, minute: int) -> bool:
        """Whether that minute of the day is in the span."""
        return (minute - self.begin) % DAY < (self.end - self.begin - 1) % DAY + 1

    def overlaps(self, other: Span) -> bool:
        """Whether a minute is in both."""
        return self.covers(other.begin) or other.covers(self.begin)


@frozen
class RateLimit:
    """The limit of all connections together; none by default.

    Attributes:
        rate: bytes per second outside the spans; None for no limit.
        spans: parts of the day with another rate, no two of which overlap.
    """

    rate: int | None = None
    spans: tuple[Span, ...] = ()

    def at(self, minute: int) -> int | None:
        """The limit at that minute of the day, local time, in bytes per second; None for no limit."""
        return next((span.rate for span in self.spans if span.covers(minute)), self.rate)


UNLIMITED = RateLimit()
