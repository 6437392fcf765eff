"""The last lines of a terminal, drawn again and again in place."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from luci_dl.ui.stream import Stream

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ERASE_LINE, ERASE_BELOW = "\x1b[K", "\x1b[J"


class LiveRegion:
    """Some lines below everything else that was printed, none as long as the terminal is wide.

    Each frame is a single write, which overwrites instead of erasing first: nothing flickers. The cursor is hidden
    within a frame only, so neither Ctrl+Z nor `kill -9` leaves a terminal without one.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lines: list[str] = []

    def draw(self, lines: Sequence[str], above: Sequence[str] = ()) -> None:
        """Replace the board's lines, and print those `above` it for good."""
        if not above and list(lines) == self._lines:
            return
        up = self._height()
        begin = HIDE_CURSOR + "\r" + (f"\x1b[{up}A" if up else "")
        if above:  # they may wrap, so there must be no remains of the board behind them
            begin += ERASE_BELOW + "".join(f"{line}\n" for line in above)
        frame = "".join(f"{line}{ERASE_LINE}\n" for line in lines)
        self._stream.write(begin + frame + ERASE_BELOW + SHOW_CURSOR)
        self._lines = list(lines)

    def _height(self) -> int:
        """The rows that the lines take by now: a terminal that became narrower has wrapped them."""
        columns = self._stream.size().columns
        return sum(max(1, -(-Text.from_ansi(line).cell_len // columns)) for line in self._lines)
