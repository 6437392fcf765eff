"""Rows in columns."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.text import printable
from luci_dl.ui.figures import CUT, cut_middle
from luci_dl.ui.stream import Stream

LEAST = 8
"""Characters that are left of a text, however narrow the terminal is."""


def table(rows: Sequence[Sequence[str]], out: Stream, flexible: int = -1, spare: int = 0) -> list[str]:
    """The rows in columns; on a terminal the texts of the `flexible` one are cut, so that `spare` columns stay free."""
    cells = [[printable(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if out.isatty():
        others = sum(widths) - widths[flexible] + 2 * (len(widths) - 1)
        room = max(LEAST, out.size().columns - spare - others)
        mark = CUT if out.shows(CUT) else ".."
        for row in cells:
            row[flexible] = cut_middle(row[flexible], room, mark)
        widths[flexible] = min(widths[flexible], room)
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
