"""Shows the small files of a model as if they were one: hundreds of bars and lines would tell nobody anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from luci_dl.events import (
    Deleted,
    Event,
    Installed,
    Kept,
    NotDeleted,
    Progress,
    Retrying,
    Serving,
    SmallFiles,
    Started,
    Swarming,
)
from luci_dl.text import counted
from luci_dl.ui.render_thread import Renderer

LEAST_S = 0.5
"""The rate is not known sooner than this."""


class _Group:
    """Some small files, and how far they are together."""

    def __init__(self, files: SmallFiles, now: float) -> None:
        self.name = counted(len(files.names), "small file")
        self.total = files.total
        self._done: dict[str, int] = {}
        self._sum = 0
        self.ended: list[Deleted | Kept] = []
        self.retries_shown_until = 0.0
        self._began = now
        self._first: int | None = None  # bytes that were there before

    def progress(self, name: str, done: int, now: float) -> Progress:
        """How far they are, now that so much of that one is done."""
        self._sum += done - self._done.get(name, 0)
        self._done[name] = done
        self._first = self._sum if self._first is None else self._first
        seconds = now - self._began
        rate = (self._sum - self._first) / seconds if seconds > LEAST_S else 0.0
        return Progress(self.name, min(self._sum, self.total), self.total, rate)


class AsOne(Renderer):
    """Passes events on to `renderer`; those of the files of a `SmallFiles` event as the events of one file."""

    def __init__(self, renderer: Renderer, clock: Callable[[], float] = time.monotonic) -> None:
        self.renderer = renderer
        self._clock = clock
        self._groups: dict[str, _Group] = {}  # by the reference of the model
        self._group_of: dict[str, _Group] = {}  # by the name of the file

    def __call__(self, event: Event) -> None:
        for each in self._turned(event):
            self.renderer(each)

    def close(self) -> None:
        """As `Renderer.close`."""
        for event in self._ended():
            self.renderer(event)
        self.renderer.close()

    def _turned(self, event: Event) -> Iterator[Event]:
        group = self._group_of.get(getattr(event, "name", ""))
        match event:
            case SmallFiles():
                group = self._groups[event.reference] = _Group(event, self._clock())
                self._group_of |= dict.fromkeys(event.names, group)
                yield Started(group.name, group.total, 0)
            case Started(name, _, done) | Progress(name, done) if group:
                yield group.progress(name, done, self._clock())
            case Retrying(_, _, delay) if group:
                if self._clock() >= group.retries_shown_until:  # all of them have lost the same network
                    group.retries_shown_until = self._clock() + delay
                    yield replace(event, name=group.name)
            case Serving() | Swarming() if group:
                return
            case Deleted() | Kept() if group:
                group.ended.append(event)
            case Deleted() | Kept() | NotDeleted():  # of another file of the model: more of the group may follow
                yield event
            case Installed(reference) if installed := self._groups.get(reference):
                yield Progress(installed.name, installed.total, installed.total, 0.0)
                yield event
            case _:
                yield from self._ended()
                yield event

    def _ended(self) -> Iterator[Event]:
        """What became of the parts of each group, once all of that is known."""
        for group in self._groups.values():
            deleted = [event for event in group.ended if isinstance(event, Deleted)]
            kept = [event for event in group.ended if isinstance(event, Kept)]
            group.ended = []
            if deleted:
                yield replace(deleted[0], name=counted(len(deleted), "small file"))
            if kept:
                done = sum(event.done for event in kept)
                yield replace(kept[0], name=counted(len(kept), "small file"), done=done, total=group.total)
