"""The results of checks, by level, and the run that collects them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.errors import LuciError
from luci_dl.events import Emit, Finding

Check = Callable[[], Iterable[Finding]]


def ok(topic: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(topic, "ok", message, "", 0)


def warning(topic: str, message: str, hint: str = "") -> Finding:
    """Something that works with restrictions, or may fail later."""
    return Finding(topic, "warning", message, hint, 0)


def failure(topic: str, error: LuciError) -> Finding:
    """Something that makes installs fail."""
    return Finding(topic, "error", error.message, error.hint, error.exit_code)


def examine(checks: Sequence[tuple[str, Check]], token: CancelToken, emit: Emit) -> int:
    """Run the checks one after the other, each off the calling thread.

    Args:
        checks: each with its topic.

    Returns: the exit code of the first error; 0 if there is none. Raises: Interrupted.
    """
    codes = [run_cancellable(partial(_run, topic, check, token, emit), token) for topic, check in checks]
    return next(filter(None, codes), 0)


def _run(topic: str, check: Check, token: CancelToken, emit: Emit) -> int:
    """Emit each finding as soon as it is known, unless the token is cancelled. Returns: the first error's exit code."""
    code = 0
    try:
        for found in check():
            token.check()
            emit(found)
            code = code or found.exit_code
    except LuciError as error:
        emit(failure(topic, error))
        code = code or error.exit_code
    return code
