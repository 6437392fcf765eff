"""Work beside the calling thread: what ends it, and what is left of it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.errors import Interrupted
from luci_dl.pool import run_side_by_side


def refuse_threads(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    """As the system does when there are too many."""
    real, left = threading.Thread.start, iter(range(allowed))

    def start(thread: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)


def test_results_come_in_the_order_of_the_items() -> None:
    token, late = CancelToken(), threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert late.wait(20)
        elif item == 2:
            late.set()
        return item * 10

    assert run_side_by_side(work, range(3), token, 2) == [0, 10, 20]
    assert run_side_by_side(work, [], token, 2) == []
    assert not token.cancelled


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_refused_threads_mean_fewer_workers(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    """With none at all the calling thread does the work."""
    names = set[str]()

    def work(item: int) -> int:
        names.add(threading.current_thread().name)
        return item

    refuse_threads(monkeypatch, allowed)
    assert run_side_by_side(work, range(20), CancelToken(), 4) == list(range(20))
    assert len(names) <= max(1, allowed)
    assert ("MainThread" in names) == (allowed == 0)


def test_a_refused_thread_does_not_stop_cancellable_work(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_threads(monkeypatch, 0)
    assert run_cancellable(lambda: 5, CancelToken()) == 5
    with pytest.raises(ZeroDivisionError):
        run_cancellable(lambda: 1 / 0, CancelToken())


def test_an_error_stops_the_other_workers() -> None:
    """They have ended when it is raised, and nothing else is started."""
    token, ended = CancelToken(), list[int]()
    both = threading.Barrier(2, timeout=20)

    def work(item: int) -> None:
        both.wait()
        if item == 0:
            raise ZeroDivisionError
        assert token.wait(20)
        ended.append(item)
        raise Interrupted

    with pytest.raises(ZeroDivisionError):
        run_side_by_side(work, range(5), token, 2)
    assert ended == [1]


def test_an_interrupt_of_the_waiting_thread_cancels_the_work() -> None:
    """The work is abandoned, so it has to learn that."""
    token = CancelToken()

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cancellable(lambda: token.wait(20), token, tick)
    assert token.cancelled


@contextlib.contextmanager
def cancelled_unheard(token: CancelToken) -> Iterator[None]:
    """Soon cancelled, but nothing wakes who waits: as by a signal that arrives right before a system call."""

    def cancel() -> None:
        token.signum, token.cancelled = 2, True

    timer = threading.Timer(0.05, cancel)
    timer.start()
    yield
    timer.join()


def test_a_cancellation_that_wakes_nobody_is_noticed_all_the_same() -> None:
    """By a wait that would take a minute, and by one that has no end."""
    token = CancelToken()
    with cancelled_unheard(token):
        assert token.wait(60)
    token, (read, write) = CancelToken(), os.pipe()
    with os.fdopen(read), os.fdopen(write, "w"), cancelled_unheard(token), pytest.raises(Interrupted):
        token.wait_to_read(read)


def test_a_wait_that_nobody_cancels_takes_its_time() -> None:
    assert not CancelToken().wait(0.6)
    assert not CancelToken().wait(-1)
