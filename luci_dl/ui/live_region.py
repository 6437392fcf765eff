"""The last lines of a terminal, redrawn in place."""

from __future__ import annotations

import re
from collections.abc import Sequence

from luci_dl.cancel import times_continued
from luci_dl.ui.cells import cells
from luci_dl.ui.stream import Stream

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ERASE_LINE, ERASE_BELOW = "\x1b[K", "\x1b[J"
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


class LiveRegion:
    """Lines below everything else that was printed, each shorter than the terminal is wide.

    Each frame is a single write, which overwrites instead of erasing first, so nothing flickers. The cursor is hidden
    only within a frame, so neither Ctrl+Z nor `kill -9` leaves a terminal without one.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._continued = times_continued()

    def draw(self, lines: Sequence[str], above: Sequence[str] = ()) -> None:
        """Replace the lines of the region, and print those `above` it permanently."""
        if not above and list(lines) == self._lines:
            return
        up = self._height()
        begin = HIDE_CURSOR + "\r" + (f"\x1b[{up}A" if up else "")
        if above:  # they may wrap, so nothing of the old region may remain
            begin += ERASE_BELOW + "".join(f"{line}\n" for line in above)
        frame = "".join(f"{line}{ERASE_LINE}\n" for line in lines)
        self._stream.write(begin + frame + ERASE_BELOW + SHOW_CURSOR)
        self._lines = list(lines)

    def may_draw(self) -> bool:
        """Whether the region may be drawn now.

        In the background, and after a stop, others have written below the last frame: it stays where it is, and the
        next one is drawn below.
        """
        may_draw, continued = self._stream.may_draw(), times_continued()
        if not may_draw or continued != self._continued:
            self._lines = []
        self._continued = continued
        return may_draw

    def _height(self) -> int:
        """The rows that the lines take now: a terminal that became narrower has wrapped them."""
        columns = self._stream.size().columns
        return sum(max(1, -(-cells(_COLOR.sub("", line)) // columns)) for line in self._lines)
