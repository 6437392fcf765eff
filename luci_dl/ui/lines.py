"""Without a terminal: plain lines, and few of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from luci_dl.events import Copying, Event, FileProgress, Hashing, Installed, Started, Stopped, Uploading, Waiting
from luci_dl.ui.describe import describe
from luci_dl.ui.render_thread import Renderer
from luci_dl.ui.stream import Output

EVERY_S = 10.0
"""Time between two progress lines of one file, in seconds."""

Topic = tuple[object, ...]


class Lines(Renderer):
    """Shows every event; progress of a file when it begins, and then every ten seconds at most."""

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._shown: dict[str, tuple[Topic, float]] = {}
        self._stopped = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started | FileProgress) and not self._is_due(event):
            return
        self._stopped = self._stopped or isinstance(event, Stopped)
        if event.channel == "result":
            self._output.results(describe(event))
        else:
            _say(event, self._output)
        if isinstance(event, Installed):
            self._output.paths(event.paths)

    def _is_due(self, event: Started | FileProgress) -> bool:
        """Whether the last line of this file is old enough, or was about something else."""
        now, topic = self._clock(), _topic(event)
        last_topic, last_time = self._shown.get(event.name, (None, -math.inf))
        new = isinstance(event, Started) or topic != last_topic
        if self._stopped or not (new or now - last_time >= EVERY_S):
            return False
        self._shown[event.name] = (topic, now)
        return True


class Quiet(Renderer):
    """Shows problems only, and the final paths."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, event: Event) -> None:
        if isinstance(event, Installed):
            self._output.paths(event.paths)
        elif event.is_problem:
            _say(event, self._output)


def _say(event: Event, output: Output) -> None:
    echoed = isinstance(event, Stopped) and output.err.isatty()  # the terminal has just echoed ^C
    output.say(["", *describe(event)] if echoed else describe(event))


def _topic(event: Started | FileProgress) -> Topic:
    """What the event is about, apart from how far it is."""
    match event:
        case Waiting(_, pid, host, since):
            return ("waiting", pid, host, since)
        case Hashing() | Copying() | Uploading():
            return (type(event),)
        case _:
            return ("fetching",)
