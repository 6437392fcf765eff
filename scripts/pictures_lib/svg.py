"""Screens as an SVG, light or dark as the reader's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from pictures_lib.screen import Cell, Row, text

CELL, LINE, BASE = 8.4, 20, 14
"""Width and height of a cell, and how far below its top the text stands."""
MARGIN, BAR, GAP = 16, 30, 14
"""Around the text of a window, its bar with the buttons, and between two windows."""
CLASSES = {"36": "done", "90": "rest"}
"""What the colours mean that luci uses."""
PARTS = {"━": (0.0, 1.0), "╸": (0.0, 0.5), "╺": (0.5, 1.0)}
"""The signs of a bar are drawn, since few fonts join them: from where in the cell to where."""
STYLE = """
text { font: 14px ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", Consolas, monospace; fill: #1f2328;
  white-space: pre }
.typed { font-weight: 600 }
.window { fill: #f6f8fa; stroke: #d1d9e0 }
.button { fill: #d1d9e0 }
.done { fill: #0b7285 }
.rest { fill: #c4ccd4 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .window { fill: #161b22; stroke: #3d444d }
  .button { fill: #3d444d }
  .done { fill: #3bc9db }
  .rest { fill: #3d444d }
}
"""


def picture(title: str, windows: Sequence[Sequence[Row]], columns: int) -> str:
    """The SVG: one window for each terminal, one below the other."""
    width = columns * CELL + 2 * MARGIN
    shapes: list[str] = []
    top = 0.5
    for rows in windows:
        height = BAR + len(rows) * LINE + MARGIN
        shapes += _window(rows, top, width, height)
        top += height + GAP
    body, bottom = "\n".join(shapes), top - GAP + 0.5
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 1:.0f} {bottom:.0f}" '
        f'width="{width + 1:.0f}" height="{bottom:.0f}" role="img" xml:space="preserve">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def _window(rows: Sequence[Row], top: float, width: float, height: float) -> Iterator[str]:
    yield f'<rect class="window" x="0.5" y="{top}" width="{width:.1f}" height="{height}" rx="8"/>'
    yield from (f'<circle class="button" cx="{MARGIN + 4 + at * 16}" cy="{top + 14}" r="5"/>' for at in range(3))
    for number, row in enumerate(rows):
        yield from _row(row, top + BAR + number * LINE)


def _row(row: Row, y: float) -> Iterator[str]:
    style = "typed" if text(row).startswith("$ ") else ""
    column = 0
    for (kind, wide), group in groupby(_with_width(row), key=lambda pair: (_kind(pair[0]), pair[1] > 1)):
        cells = list(group)
        begin, column = column, column + sum(width for _, width in cells)
        signs = "".join(cell.sign for cell, _ in cells)
        if kind is not None:
            yield from _bar(signs, kind, begin, y)
        elif signs.strip():
            length = "" if wide else f' textLength="{len(signs) * CELL:.1f}"'
            x = MARGIN + begin * CELL
            yield f'<text class="{style}" x="{x:.1f}" y="{y + BASE:.1f}"{length}>{escape(signs)}</text>'


def _with_width(row: Row) -> Iterator[tuple[Cell, int]]:
    """Each sign with the columns it takes; blanks at the end go."""
    cells = list(row[: len(text(row)) + sum(cell.sign == "" for cell in row)])
    for at, cell in enumerate(cells):
        if cell.sign:
            yield cell, 2 if cells[at + 1 : at + 2] == [Cell("")] else 1


def _kind(cell: Cell) -> str | None:
    """The colour of a part of a bar; None for text."""
    return CLASSES[cell.colour] if cell.sign in PARTS else None


def _bar(signs: str, kind: str, begin: int, y: float) -> Iterator[str]:
    start, end = begin + PARTS[signs[0]][0], begin + len(signs) - 1 + PARTS[signs[-1]][1]
    x, width = MARGIN + start * CELL, (end - start) * CELL
    yield f'<rect class="{kind}" x="{x:.1f}" y="{y + BASE - 6:.1f}" width="{width:.1f}" height="3"/>'
