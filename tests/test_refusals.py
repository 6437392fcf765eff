"""What the system refuses becomes one sentence, at a few doors."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from luci_dl.api.emit_guard import EmitGuard
from luci_dl.cancel import CancelToken, run_cancellable, start_thread
from luci_dl.errors import StorageError, refusal, refusals
from luci_dl.events import ignore
from luci_dl.pool import run_side_by_side


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "this process may open no more files", "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), "the system can open no more files", "fs.file-max"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "the system has no memory left for luci", "ulimit -v"),
        (MemoryError(), "the system has no memory left for luci", "ulimit -v"),
        (RuntimeError("can't allocate lock"), "the system has no memory left for luci", "ulimit -v"),
        (RuntimeError("can't start new thread"), "the system allows no more threads", "ulimit -u"),
        (
            ImportError("x.so: failed to map segment from shared object"),
            "the system has no memory left for luci",
            "ulimit -v",
        ),
        (
            ImportError("x.so: cannot open shared object file: Too many open files"),
            "this process may open no more files",
            "ulimit -n",
        ),
        (SystemError("error return without exception set"), "the system has no memory left for luci", "ulimit -v"),
    ],
)
def test_a_refusal_says_of_what_and_what_to_do(error: Exception, message: str, hint: str) -> None:
    """Whichever library passes it on."""
    with pytest.raises(StorageError) as caught, refusals():
        raise error
    assert (caught.value.message, caught.value.exit_code) == (message, 6)
    assert hint in caught.value.hint
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "no"), OSError("no number"), BlockingIOError(errno.EAGAIN, "no"), RuntimeError("x")]
)
def test_other_errors_are_none(error: Exception) -> None:
    """Neither a bug nor an error of a file may look like a refusal."""
    assert refusal(error) is None
    with pytest.raises(type(error)), refusals():
        raise error


def test_a_refused_thread_is_an_error_where_nobody_can_do_its_work(no_threads: None) -> None:
    with pytest.raises(StorageError, match="allows no more threads"):
        start_thread(lambda: None, "luci-test")


def test_where_the_calling_thread_can_do_the_work_it_does(no_threads: None) -> None:
    """Slower, and signals have to wait."""
    assert run_cancellable(lambda: 5, CancelToken()) == 5
    assert run_side_by_side(lambda number: number * 2, [1, 2], CancelToken(), 2) == [2, 4]


def test_a_token_without_a_pipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And closes nothing when it goes."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pipe", refuse)
    with pytest.raises(StorageError, match="no more files"):
        CancelToken()


def test_no_refusal_leaves_the_api_as_it_came() -> None:
    """Its callers catch luci's errors."""
    with pytest.raises(StorageError, match="no memory left"), EmitGuard(None, ignore):
        raise MemoryError
