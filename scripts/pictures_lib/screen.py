"""What a terminal shows of the bytes that it got: as much of one as luci needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])|([^\x1b])")
_WIDENS = "\ufe0f"
"""Makes an emoji, two cells wide, of the sign before it."""


@dataclass(frozen=True)
class Cell:
    """One column: its sign, empty behind a wide one, and the colour as the terminal was told it."""

    sign: str = " "
    colour: str = ""


Row = Sequence[Cell]


def screen(shown: str) -> list[list[Cell]]:
    """The rows of a terminal that is high enough never to scroll, and wide enough never to wrap."""
    grid: list[list[Cell]] = [[]]
    row = column = 0
    colour = ""
    for numbers, command, char in _TOKEN.findall(shown):
        match command or ord(char):
            case "A":
                row = max(0, row - int(numbers))
            case "K" | "J":
                del grid[row][column:]
                if command == "J":
                    del grid[row + 1 :]
            case "m":
                colour = "" if numbers in ("", "0") else numbers
            case 0x0D:
                column = 0
            case 0x0A:
                row, column = row + 1, 0
                grid += [[] for _ in range(row + 1 - len(grid))]
            case _ if char:
                column = _put(grid[row], column, char, colour)
    return grid


def text(row: Row) -> str:
    return "".join(cell.sign for cell in row).rstrip()


def _put(row: list[Cell], column: int, char: str, colour: str) -> int:
    """Write one sign. Returns: the column behind it."""
    if char == _WIDENS and column:
        before = row[column - 1]
        row[column - 1 : column + 1] = [Cell(before.sign + char, before.colour), Cell("")]
        return column + 1
    cells = [Cell(char, colour)] + [Cell("")] * (cell_len(char) - 1)
    row += [Cell()] * (column - len(row))
    row[column : column + len(cells)] = cells
    return column + len(cells)
