"""The one tree of errors. Each class knows its exit code and what becomes of the part."""

from __future__ import annotations

from typing import ClassVar, Literal

Ending = Literal["roll back", "suspend"]


class LuciError(Exception):
    """What went wrong, in one sentence, and what to do next.

    Args:
        message: what happened, what was expected, what was found.
        hint: what the user can do now; empty when the message says it all.
    """

    exit_code: ClassVar[int] = 1
    ending: ClassVar[Ending] = "roll back"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LuciError):
    """The words or options cannot be meant so."""

    exit_code = 2


class ResolveError(LuciError):
    """A name or reference leads to no file."""

    exit_code = 3
    ending = "suspend"


class NetworkError(LuciError):
    """The network, the server or a proxy failed, and patience is at its end; what is proved is kept."""

    exit_code = 4
    ending = "suspend"


class IntegrityError(LuciError):
    """The bytes are not the bytes that were promised."""

    exit_code = 5


class StorageError(LuciError):
    """The disk is full, refuses, or failed to keep what it was given.

    Args:
        reason: the system's own words, like "Permission denied".
    """

    exit_code = 6

    def __init__(self, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


class CannotHold(StorageError):
    """The file system cannot hold the file; another one may."""


class NoRoom(CannotHold):
    """For lack of free space. `told`: the message says what is needed and what is free."""

    def __init__(self, message: str, hint: str = "", reason: str = "", *, told: bool = False) -> None:
        super().__init__(message, hint, reason)
        self.told = told


class LockedError(LuciError):
    """Another process holds the target, and the user did not want to wait (any longer)."""

    exit_code = 7


class Interrupted(LuciError):
    """A signal (or the caller of the Python API) asked to stop.

    Args:
        signum: the signal's number; None when no signal was behind the wish.
    """

    exit_code = 130

    def __init__(self, signum: int | None = None) -> None:
        super().__init__("interrupted")
        self.signum = signum
