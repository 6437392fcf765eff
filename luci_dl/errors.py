"""The errors of luci. Each class has the exit code of the command, and what happens to a partial download.

    LuciError                  1        roll back
    ├── UsageError             2        roll back
    ├── ResolveError           3        suspend
    │   └── NotFound                    there is no such thing, where all others are found
    ├── NetworkError           4        suspend
    ├── IntegrityError         5        roll back
    │   └── OtherFile                   a file of another kind than its name says
    ├── StorageError           6        roll back
    │   └── CannotHold                  another file system may hold the file
    │       └── NoRoom                  there is not enough free space
    ├── LockedError            7        roll back
    └── Interrupted            128 + n  roll back, unless the user keeps partial downloads

Roll back: delete it, and leave the target as it was. Suspend: keep it, so that the next install resumes it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

from luci_dl.text import public_text

Ending = Literal["roll back", "suspend"]
Lack = Literal["space", "quota", "inodes"]


class LuciError(Exception):
    """An error that the user can understand. It shows addresses without credentials and query.

    Args:
        message: what happened, what was expected, and what was found, in one sentence.
        hint: what the user can do; empty when the message is enough.
    """

    exit_code: ClassVar[int] = 1
    ending: ClassVar[Ending] = "roll back"

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = public_text(message)
        self.hint = public_text(hint)
        super().__init__(self.message)


class UsageError(LuciError):
    """The arguments or settings are invalid."""

    exit_code = 2


class ResolveError(LuciError):
    """A name or reference does not lead to a file."""

    exit_code = 3
    ending = "suspend"


class NotFound(ResolveError):
    """Its server, or the catalog, has no such model or file."""


class NetworkError(LuciError):
    """The network, a server or a proxy failed, and no retry is left."""

    exit_code = 4
    ending = "suspend"


class IntegrityError(LuciError):
    """The bytes are not the expected ones."""

    exit_code = 5


class OtherFile(IntegrityError):
    """The bytes are of another kind of file than its name says."""


class StorageError(LuciError):
    """The disk is full, denies access, or failed.

    Args:
        reason: the system's own message, such as "Permission denied".
    """

    exit_code = 6

    def __init__(self, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


class CannotHold(StorageError):
    """This file system cannot hold the file; another one may."""


class NoRoom(CannotHold):
    """There is not enough room.

    Args:
        lack: what there is none of.
        has_figures: the message says how much space is needed and how much is free.
    """

    def __init__(
        self, message: str, hint: str = "", reason: str = "", *, lack: Lack = "space", has_figures: bool = False
    ) -> None:
        super().__init__(message, hint, reason)
        self.lack = lack
        self.has_figures = has_figures


class LockedError(LuciError):
    """Another process holds the lock of the target, and the time to wait for it is over."""

    exit_code = 7


class Interrupted(LuciError):
    """A signal, or the caller of the Python API, stopped the run.

    Args:
        signum: the signal; None when the caller stopped it.
    """

    exit_code = 130

    def __init__(self, signum: int | None = None) -> None:
        super().__init__("interrupted")
        self.signum = signum


# --- what the system may refuse to any process: caught where a thread starts or ends, and where the API ends

_FEWER = "Use fewer --jobs and --connections, or raise the limit of {}."
_NO_THREADS = -1  # the system's number for it, EAGAIN, has other meanings
_REFUSED = {
    _NO_THREADS: ("the system allows no more threads", _FEWER.format("processes (ulimit -u)")),
    errno.EMFILE: ("this process may open no more files", _FEWER.format("open files (ulimit -n)")),
    errno.ENFILE: ("the system can open no more files", "Close other programs, or raise the limit fs.file-max."),
    errno.ENOMEM: ("the system has no memory left for luci", _FEWER.format("memory (ulimit -v), or close programs")),
}
REFUSAL_HINTS = {code: hint for code, (_, hint) in _REFUSED.items() if code > 0}
"""What to do about a refusal, by the number of the system's error."""
_PYTHONS_WORDS = {
    "can't start new thread": _NO_THREADS,
    "can't allocate": errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
    "cannot allocate memory": errno.ENOMEM,
    "error return without exception set": errno.ENOMEM,
    "Too many open files": errno.EMFILE,
}
"""What is in the messages by which Python, or its import of a module when that is first used, passes on a refusal."""
MAY_BE_REFUSALS = (OSError, MemoryError, RuntimeError, ImportError, SystemError)
"""The exceptions of which some are a refusal."""


def refusal(error: BaseException) -> StorageError | None:
    """The error to raise for one by which the system refused threads, files or memory; None for any other."""
    code = _code(error)
    if code is None or code not in _REFUSED:
        return None
    message, hint = _REFUSED[code]
    refused = StorageError(message, hint, str(error))
    refused.__cause__ = error
    return refused


def _code(error: BaseException) -> int | None:
    if isinstance(error, RuntimeError | ImportError | SystemError):
        return next((code for words, code in _PYTHONS_WORDS.items() if words in str(error)), None)
    return errno.ENOMEM if isinstance(error, MemoryError) else error.errno if isinstance(error, OSError) else None


@contextmanager
def refusals() -> Iterator[None]:
    """Raises: StorageError, when the system refuses threads, files or memory to the block."""
    try:
        yield
    except MAY_BE_REFUSALS as error:
        if refused := refusal(error):
            raise refused from error
        raise
