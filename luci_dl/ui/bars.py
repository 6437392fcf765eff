"""On a terminal: a bar for each running file, below the messages."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress_bar import ProgressBar

from luci_dl.events import Copying, Event, Hashing, Installed, Progress, Uploading, Waiting
from luci_dl.figures import clock, percent, seconds_left
from luci_dl.text import human_size
from luci_dl.ui.cells import cells, pad
from luci_dl.ui.describe import base_name, describe
from luci_dl.ui.lines import Lines
from luci_dl.ui.live_region import LiveRegion
from luci_dl.ui.render_thread import Renderer
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

WIDEST_BAR = 40


class Bars(Renderer):
    """Draws what is running at the bottom of the terminal, and prints messages above it; in the background, lines."""

    def __init__(self, output: Output, color: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._now = now
        self._next_frame = 0.0
        self._state = RunState()
        self._region = LiveRegion(output.err)
        self._lines = Lines(output, now)
        file = io.TextIOWrapper(io.BytesIO(), output.err.encoding)  # only for its encoding: bars are captured
        self._console = Console(file=file, width=WIDEST_BAR, force_terminal=True, no_color=not color)

    def __call__(self, event: Event) -> None:
        self._state.update(event)
        if not self._region.may_draw():
            self._lines(event)
        elif event.channel == "progress":
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
        if self._region.may_draw():
            self._region.draw([])

    def _draw(self, above: Sequence[str] = ()) -> None:
        self._next_frame = self._now() + REDRAW_S
        columns, lines = self._output.err.size()
        self._region.draw(self._frame(columns - 1)[: lines - 1], above)  # a full last column would wrap

    def _frame(self, columns: int) -> list[str]:
        rows = self._state.rows()
        running = [row for row in rows if not isinstance(row, Waiting)]
        texts = [describe(row)[0] for row in rows if isinstance(row, Waiting)] + [self._state.total_line()]
        return self._table(running, columns) + [self._output.err.fit(text, columns) for text in texts if text]

    def _table(self, rows: Sequence[Progress | Hashing], columns: int) -> list[str]:
        """For each row its name, its bar, and as many figures as there is room for."""
        figures = [_figures(row) for row in rows]
        widths = [max(least, *(len(texts[i]) for texts in figures)) for i, least in enumerate(FIGURE_WIDTHS) if rows]
        bar_width = min(WIDEST_BAR, columns // 6) if columns >= LEAST_FOR_BAR else 0
        rest = columns - (bar_width + 1 if bar_width else 0)
        while widths and rest - sum(widths) - len(widths) < LEAST_NAME:
            widths.pop()
        names = [self._output.err.fit(_title(row), rest - sum(widths) - len(widths)) for row in rows]
        name_width = max(map(cells, names), default=0)
        lines = []
        for row, name, texts in zip(rows, names, figures, strict=True):
            bar = [self._bar(row, bar_width)] if bar_width else []
            shown = [text.rjust(width) for text, width in zip(texts, widths, strict=False)]
            lines.append(" ".join([pad(name, name_width), *bar, *shown]))
        return lines

    def _bar(self, row: Progress | Hashing, width: int) -> str:
        if row.total is None:
            return " " * width
        done, rest = "cyan", "bright_black"  # of the terminal's own sixteen colours, which suit its background
        total = max(1, row.total)
        bar = ProgressBar(total, row.done, width, style=rest, complete_style=done, finished_style=done)
        with self._console.capture() as capture:
            self._console.print(bar, end="")
        return capture.get()


_DOING: dict[type, str] = {Hashing: "Checking ", Copying: "Copying ", Uploading: "Uploading "}


def _title(row: Row) -> str:
    return _DOING.get(type(row), "") + base_name(row.name)


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
