"""What the system may refuse to any process: threads, open files, memory. Each refusal becomes one sentence.

It is caught at the doors: where a thread is started, where a worker ends, and where the API and the command line end.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from luci_dl.errors import StorageError

_FEWER = "Use fewer --jobs and --connections, or raise the limit of {}."
_NO_THREADS = -1  # the system's number for it, EAGAIN, has other meanings
_REFUSED = {
    _NO_THREADS: ("the system allows no more threads", _FEWER.format("processes (ulimit -u)")),
    errno.EMFILE: ("this process may open no more files", _FEWER.format("open files (ulimit -n)")),
    errno.ENFILE: ("the system can open no more files", "Close other programs, or raise the limit fs.file-max."),
    errno.ENOMEM: ("the system has no memory left for luci", _FEWER.format("memory (ulimit -v), or close programs")),
}
HINTS = {code: hint for code, (_, hint) in _REFUSED.items() if code > 0}
"""What to do about a refusal, by the number of the system's error."""
_PYTHONS_WORDS = {"can't start new thread": _NO_THREADS, "can't allocate": errno.ENOMEM}
"""How messages of RuntimeErrors begin by which Python passes on a refusal."""


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
    if isinstance(error, RuntimeError):
        return next((code for words, code in _PYTHONS_WORDS.items() if str(error).startswith(words)), None)
    return errno.ENOMEM if isinstance(error, MemoryError) else error.errno if isinstance(error, OSError) else None


@contextmanager
def refusals() -> Iterator[None]:
    """Raises: StorageError, when the system refuses threads, files or memory to the block."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        if refused := refusal(error):
            raise refused from error
        raise


def start_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Run `work` in a thread that ends with the process at the latest. Raises: StorageError, when that is refused."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    with refusals():
        thread.start()
    return thread
