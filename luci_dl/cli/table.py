"""Rows in columns."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.text import printable
from luci_dl.ui.figures import CUT, cut_middle
from luci_dl.ui.stream import Stream

LEAST = 8
"""Characters that are left of a text, however narrow the terminal is."""


def table(
    rows: Sequence[Sequence[str]],
    out: Stream,
    flexible: Sequence[int] = (-1,),
    spare: int = 0,
    optional: Sequence[int] = (),
    worth: int = LEAST,
) -> list[str]:
    """The rows in columns. On a terminal what has no room goes, so that `spare` columns of it stay free.

    Args:
        flexible: the texts of these are cut, the widest first.
        optional: these are left out, the last one first, rather than that a flexible one has less than `worth`.
    """
    cells = [[printable(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    shown = list(range(len(widths)))
    if out.isatty():
        columns = out.size().columns - spare
        cut = [at % len(widths) for at in flexible]
        leave = list(optional)
        while leave and _taken(widths, shown, cut) + sum(min(worth, widths[at]) for at in cut) > columns:
            shown.remove(leave.pop())
        _narrow(widths, cut, _taken(widths, shown, ()) - columns)
        mark = CUT if out.shows(CUT) else ".."
        for row in cells:
            for at in cut:
                row[at] = cut_middle(row[at], widths[at], mark)
    return ["  ".join(row[at].ljust(widths[at]) for at in shown).rstrip() for row in cells]


def _taken(widths: Sequence[int], shown: Sequence[int], without: Sequence[int]) -> int:
    """What the shown columns take, with the space between; those `without` take the space alone."""
    return sum(widths[at] for at in shown if at not in without) + 2 * (len(shown) - 1)


def _narrow(widths: list[int], flexible: Sequence[int], excess: int) -> None:
    """Take the excess from the widest of the flexible ones."""
    while excess > 0:
        widest = max(flexible, key=lambda at: widths[at])
        if widths[widest] <= LEAST:
            return
        widths[widest] -= 1
        excess -= 1
