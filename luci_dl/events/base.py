"""What all events have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

from luci_dl.text import public_text

Channel = Literal["result", "progress", "message"]
"""How an event is shown: a result goes to stdout, progress is redrawn in place, a message is shown once."""

Emit = Callable[["Event"], None]
T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def event(kind: type[T]) -> type[T]:
    """Make a frozen dataclass. Comparing and printing are in `Event`: code made for each class delays every start."""
    return dataclass(frozen=True, eq=False, repr=False)(kind)


@event
class Event:
    """A fact; by default a message. `name` of a file is always its target's path below the models folder.

    Its texts show addresses without credentials and query.
    """

    channel: ClassVar[Channel] = "message"

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _public(getattr(self, field.name)))

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @property
    def is_problem(self) -> bool:
        """Whether `--quiet` shows it, too."""
        return False

    @classmethod
    def event_name(cls) -> str:
        """Its name in JSON: NotDeleted is not_deleted."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


@event
class Result(Event):
    """Base of what a command was asked to find out or do, item by item."""

    channel: ClassVar[Channel] = "result"


@event
class FileProgress(Event):
    """Base of what says how far the work on the file `name` is: each one replaces the one before."""

    channel: ClassVar[Channel] = "progress"

    name: str


@event
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
