"""What all events have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from luci_dl.frozen import frozen
from luci_dl.text import public_text

Channel = Literal["result", "progress", "message"]
"""How an event is shown: a result goes to stdout, progress is redrawn in place, a message is shown once."""

Emit = Callable[["Event"], None]


@frozen
class Event:
    """A fact; by default a message. `name` of a file is always its target's path below the models folder.

    Its texts show addresses without credentials and query.
    """

    channel: ClassVar[Channel] = "message"

    def __post_init__(self) -> None:
        own = vars(self)
        own.update({name: _public(value) for name, value in own.items() if isinstance(value, str | tuple)})

    @property
    def is_problem(self) -> bool:
        """Whether `--quiet` shows it, too."""
        return False

    @classmethod
    def event_name(cls) -> str:
        """Its name in JSON: NotDeleted is not_deleted."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


@frozen
class Result(Event):
    """Base of what a command was asked to find out or do, item by item."""

    channel: ClassVar[Channel] = "result"


@frozen
class FileProgress(Event):
    """Base of what says how far the work on the file `name` is: each one replaces the one before."""

    channel: ClassVar[Channel] = "progress"

    name: str


@frozen
class Problem(Event):
    """Base of messages that `--quiet` shows, too."""

    @property
    def is_problem(self) -> bool:
        return True


def _public(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_public, value))
    return public_text(value) if isinstance(value, str) else value


def ignore(event: Event) -> None:
    """An `Emit` that shows nothing."""
