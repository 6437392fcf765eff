"""Rows in columns."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.text import printable
from luci_dl.ui.figures import CUT, cut_middle
from luci_dl.ui.stream import Stream

LEAST = 8
"""Characters that are left of a text, however narrow the terminal is."""


def table(
    rows: Sequence[Sequence[str]], out: Stream, flexible: int = -1, spare: int = 0, optional: int = 0
) -> list[str]:
    """The rows in columns. On a terminal what has no room goes, so that `spare` columns of it stay free.

    Args:
        optional: the last so many are left out where there is no room for them.
        flexible: the texts of this one are cut then.
    """
    cells = [[printable(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if out.isatty():
        columns = out.size().columns - spare
        flexible %= len(widths)
        while optional and _taken(widths, flexible) + LEAST > columns:
            widths, cells, optional = widths[:-1], [row[:-1] for row in cells], optional - 1
        room = max(LEAST, columns - _taken(widths, flexible))
        mark = CUT if out.shows(CUT) else ".."
        for row in cells:
            row[flexible] = cut_middle(row[flexible], room, mark)
        widths[flexible] = min(widths[flexible], room)
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _taken(widths: Sequence[int], flexible: int) -> int:
    """What the others take, with the space between."""
    return sum(widths) - widths[flexible] + 2 * (len(widths) - 1)
