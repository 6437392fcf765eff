"""What is running now, and how far the whole run is, according to the events."""

from __future__ import annotations

from luci_dl import events
from luci_dl.events import Event, Hashing, Planned, Progress, Waiting
from luci_dl.figures import clock, seconds_left
from luci_dl.text import human_size

Row = Progress | Hashing | Waiting


class RunState:
    """The latest progress of every unfinished file, and sums over the models."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._planned: Planned | None = None
        self._installed = 0
        self._failed = 0
        self._finished = 0
        self._over = False

    def update(self, event: Event) -> None:
        """Take the event into account."""
        match event:
            case Planned():
                self._planned = event
            case events.Started(name, total, offset):
                self._rows[name] = Progress(name, offset, total, 0.0)
            case Progress() | Hashing() | Waiting():
                self._rows[event.name] = event
            case events.Installed(_, paths, size):
                self._installed += 1
                self._finished += size
                for path in paths:
                    self._drop(path)
            case events.Failed():  # names no file: clear all rows; those still running come back with their next event
                self._failed += 1
                self._rows.clear()
            case events.WouldInstall(_, name) | events.Verified(name):
                self._rows.pop(name, None)
            case events.Deleted(name) | events.NotDeleted(name) | events.Kept(name):
                self._rows.pop(name, None)
            case events.Stopped() | events.Summary():
                self._over = True

    def rows(self) -> list[Row]:
        """The files to show: the incomplete ones, or else the last one (it is being checked or synced)."""
        if self._over:
            return []
        rows = list(self._rows.values())
        return [row for row in rows if isinstance(row, Waiting) or row.done != row.total] or rows[-1:]

    def total_line(self) -> str:
        """How far a run over several models is; empty for a single model."""
        if self._over or self._planned is None or len(self._planned.models) < 2:
            return ""
        fetching = [row for row in self._rows.values() if isinstance(row, Progress)]
        done = self._finished + sum(row.done for row in fetching)
        rate = sum(row.rate for row in fetching if row.done != row.total)
        total = self._planned.total
        parts = [f"{self._installed} of {len(self._planned.models)} models"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        of = f" of {'at least ' if self._planned.at_least else ''}{human_size(total)}" if total >= done else ""
        parts.append(f"{human_size(done)}{of}")
        if rate >= 1:
            parts.append(f"{human_size(int(rate))}/s")
        left = None if self._planned.at_least else seconds_left(done, total, rate)
        if left is not None:
            parts.append(f"{clock(left)} left")
        return ", ".join(parts)

    def _drop(self, path: str) -> None:
        """Drop the row of the file that is now at `path`: the one with the longest name that fits."""
        names = [name for name in self._rows if f"/{path}".endswith(f"/{name}")]
        if names:
            del self._rows[max(names, key=len)]
