"""Rows in columns."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.text import printable
from luci_dl.ui.cells import cells, pad
from luci_dl.ui.stream import Stream

SHORTEST = 8
"""Cells that remain of a text, however narrow the terminal is."""


def table(
    rows: Sequence[Sequence[str]],
    out: Stream,
    flexible: Sequence[int] = (-1,),
    margin: int = 0,
    optional: Sequence[int] = (),
    kept: int = SHORTEST,
) -> list[str]:
    """The rows in columns. On a terminal they are cut to its width, less a `margin`.

    Args:
        flexible: columns whose texts are shortened, the widest first.
        optional: columns that are left out, the last one first, before a flexible one gets narrower than `kept`.
    """
    texts = [[out.showable(printable(text)) for text in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*texts, strict=True)]
    shown = list(range(len(widths)))
    if out.isatty():
        columns = out.size().columns - margin
        cut = [at % len(widths) for at in flexible]
        droppable = list(optional)
        while (
            droppable and _width(widths, shown, cut) + sum(min(kept, widths[at]) for at in cut if at in shown) > columns
        ):
            shown.remove(droppable.pop())
        _narrow(widths, cut, _width(widths, shown, ()) - columns)
        for line in texts:
            for at in cut:
                line[at] = out.fit(line[at], widths[at])
    return ["  ".join(pad(line[at], widths[at]) for at in shown).rstrip() for line in texts]


def _width(widths: Sequence[int], shown: Sequence[int], without: Sequence[int]) -> int:
    """The width of the shown columns with the gaps between them; of those in `without` only the gaps."""
    return sum(widths[at] for at in shown if at not in without) + 2 * (len(shown) - 1)


def _narrow(widths: list[int], flexible: Sequence[int], excess: int) -> None:
    """Take the excess from the widest of the flexible columns."""
    while excess > 0:
        widest = max(flexible, key=lambda at: widths[at])
        if widths[widest] <= SHORTEST:
            return
        widths[widest] -= 1
        excess -= 1
