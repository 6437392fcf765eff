"""Without a terminal: plain lines, few of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from luci_dl.events import (
    Cleaned,
    Copying,
    Event,
    Failed,
    Finding,
    Hashing,
    Installed,
    NotDeleted,
    Progress,
    Removed,
    Room,
    Started,
    Stopped,
    Verified,
    Waiting,
    WouldInstall,
)
from luci_dl.ui.describe import words
from luci_dl.ui.stream import Output

EVERY_S = 10.0
"""How far apart the lines are that only say how far a file is, in seconds."""

Topic = tuple[object, ...]


class Lines:
    """Tells every event in words, and how far a file is when it begins and then every ten seconds at most."""

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._told: dict[str, tuple[Topic, float]] = {}
        self._stopped = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started | Progress | Hashing | Waiting) and not self._due(event):
            return
        if isinstance(event, Stopped):
            self._stopped = True
            self._output.say_stopped(words(event))
        elif isinstance(event, Cleaned | Finding | Removed | Verified | WouldInstall | Room):
            self._output.results(words(event))
        else:
            self._output.say(words(event))
        if isinstance(event, Installed):
            self._output.paths(event.paths)

    def close(self) -> None:
        """There is nothing to put in order."""

    def _due(self, event: Started | Progress | Hashing | Waiting) -> bool:
        """True when it is time to say how far the file is, or when it is about something new."""
        now, topic = self._clock(), _topic(event)
        last_topic, last_time = self._told.get(event.name, (None, -math.inf))
        new = isinstance(event, Started) or topic != last_topic
        if self._stopped or not (new or now - last_time >= EVERY_S):
            return False
        self._told[event.name] = (topic, now)
        return True


def _topic(event: Started | Progress | Hashing | Waiting) -> Topic:
    """What the event is about, apart from how far it is."""
    match event:
        case Waiting(_, pid, host, since):
            return ("waiting", pid, host, since)
        case Hashing() | Copying():
            return (type(event),)
        case _:
            return ("fetching",)


class Quiet:
    """Errors alone, and the final paths."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, event: Event) -> None:
        if isinstance(event, Installed):
            self._output.paths(event.paths)
        elif isinstance(event, Stopped):
            self._output.say_stopped(words(event))
        elif isinstance(event, Failed | NotDeleted) or (isinstance(event, Verified) and event.wrong):
            self._output.say(words(event))

    def close(self) -> None:
        """There is nothing to put in order."""
