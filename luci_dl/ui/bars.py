"""On a terminal: a bar for each running file, below the messages."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from luci_dl.events import Copying, Event, Hashing, Installed, Progress, Waiting
from luci_dl.text import human_size
from luci_dl.ui.describe import base_name, describe
from luci_dl.ui.figures import CUT, clock, cut_middle, percent, seconds_left
from luci_dl.ui.live_region import LiveRegion
from luci_dl.ui.run_state import Row, RunState
from luci_dl.ui.stream import Output

REDRAW_S = 0.1
"""Time between two frames that differ only in figures, in seconds."""

FIGURE_WIDTHS = (4, 11, 7, 9)
"""The least width of percent, sizes, speed and time left: what they usually need, so that nothing jumps."""

LEAST_NAME = 12
"""The least width of a file's name; figures are left out to keep it, the last one first."""

LEAST_FOR_BAR = 48
"""The least width of a terminal that shows bars; a narrower one needs the space for the figures."""


class Bars:
    """Draws what is running at the bottom of the terminal, and prints messages above it."""

    def __init__(self, output: Output, color: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._now = now
        self._next_frame = 0.0
        self._state = RunState()
        self._region = LiveRegion(output.err)
        file = io.TextIOWrapper(io.BytesIO(), output.err.encoding)  # only for its encoding: frames are captured
        self._console = Console(file=file, force_terminal=True, no_color=not color)
        self._ellipsis = CUT if output.err.shows(CUT) else ".."

    def __call__(self, event: Event) -> None:
        self._state.update(event)
        if event.channel == "progress":
            if self._now() >= self._next_frame:
                self._draw()
        elif event.channel == "result":
            self._region.draw([])
            self._output.results(describe(event))
        elif isinstance(event, Installed):
            self._region.draw([], above=self._output.spell(describe(event)))
            self._output.paths(event.paths)
            self._draw()
        else:
            self._draw(above=self._output.spell(describe(event)))

    def close(self) -> None:
        """Remove the bars."""
        self._region.draw([])

    def _draw(self, above: Sequence[str] = ()) -> None:
        self._next_frame = self._now() + REDRAW_S
        columns, lines = self._output.err.size()
        self._console.size = (columns - 1, lines)  # a full last column would wrap
        with self._console.capture() as capture:
            self._console.print(self._layout(columns - 1))
        self._region.draw(capture.get().split("\n")[:-1][: lines - 1], above)

    def _layout(self, columns: int) -> Group:
        rows = self._state.rows()
        total = self._state.total_line()
        waiting = [self._fit(describe(row)[0], columns) for row in rows if isinstance(row, Waiting)]
        running = [row for row in rows if not isinstance(row, Waiting)]
        table = [self._table(running, columns)] if running else []
        return Group(*table, *waiting, *([self._fit(total, columns)] if total else []))

    def _table(self, rows: list[Progress | Hashing], columns: int) -> Table:
        figures = [_figures(row) for row in rows]
        widths = [max(least, *(len(texts[i]) for texts in figures)) for i, least in enumerate(FIGURE_WIDTHS)]
        bar_width = min(40, columns // 6) if columns >= LEAST_FOR_BAR else 0
        name_width = columns - bar_width - 1
        while widths and name_width - sum(widths) - len(widths) < LEAST_NAME:
            widths.pop()
        name_width -= sum(widths) + len(widths)
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(no_wrap=True, overflow="crop")
        table.add_column(width=bar_width)
        for width in widths:
            table.add_column(width=width, no_wrap=True, justify="right")
        for row, texts in zip(rows, figures, strict=True):
            table.add_row(self._fit(_title(row), name_width), _bar(row), *map(Text, texts[: len(widths)]))
        return table

    def _fit(self, text: str, columns: int) -> Text:
        return Text(cut_middle(self._output.err.showable(text), columns, self._ellipsis), no_wrap=True)


def _title(row: Row) -> str:
    doing = "Checking " if isinstance(row, Hashing) else "Copying " if isinstance(row, Copying) else ""
    return doing + base_name(row.name)


def _bar(row: Progress | Hashing) -> ProgressBar | str:
    if row.total is None:
        return ""
    done, rest = "cyan", "bright_black"  # of the terminal's own sixteen colours, which suit its background
    total = max(1, row.total)
    return ProgressBar(total=total, completed=row.done, style=rest, complete_style=done, finished_style=done)


def _figures(row: Progress | Hashing) -> tuple[str, str, str, str]:
    """Percent, sizes, speed and time left; empty if unknown."""
    rate = row.rate if isinstance(row, Progress) else 0.0
    left = seconds_left(row.done, row.total, rate)
    return (
        "" if row.total is None else f"{percent(row.done, row.total)}%",
        human_size(row.done) + ("" if row.total is None else f"/{human_size(row.total)}"),
        f"{human_size(int(rate))}/s" if rate >= 1 else "",
        "" if left is None else f"{clock(left)} left",
    )
