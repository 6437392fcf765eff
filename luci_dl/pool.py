"""Work in several threads at once. It always ends as a whole, even if KeyboardInterrupt ends the wait for it."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from luci_dl.cancel import POLL_S, CancelToken, start_thread
from luci_dl.errors import StorageError

T = TypeVar("T")
R = TypeVar("R")


def run_side_by_side(work: Callable[[T], R], items: Sequence[T], token: CancelToken | None, at_most: int) -> list[R]:
    """Call `work` for each item, in up to `at_most` threads; the calling thread only waits.

    Any exception, in a worker or in the calling thread (KeyboardInterrupt, say), cancels the token, if there is one:
    without it, the items under way are completed. All workers have ended when it is raised again. Where the system
    refuses threads there are fewer workers, or the calling thread does the work.

    Returns: the results, in the order of the items. Raises: the first exception.
    """
    results: dict[int, R] = {}
    errors: list[BaseException] = []
    running: list[threading.Event] = []
    todo, taking = deque(enumerate(items)), threading.Lock()

    def run(done: threading.Event) -> None:
        running.append(done)
        try:
            while not errors:
                with taking:
                    if not todo:
                        return
                    index, item = todo.popleft()
                results[index] = work(item)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)
            if token:
                token.cancel()
        finally:
            done.set()

    workers = [threading.Event() for _ in range(max(1, min(at_most, len(items))))]
    try:
        started: list[threading.Event] = []
        with contextlib.suppress(StorageError):
            for done in workers:
                start_thread(partial(run, done), "luci-job")
                started.append(done)
        if not started:
            run(workers[0])
        _wait_for_all(started)
    except BaseException:
        _stop(running, token)
        raise
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(items))]


def _wait_for_all(workers: Iterable[threading.Event]) -> None:
    """Not by `Thread.join`: Python 3.11 takes the thread for ended when KeyboardInterrupt ends the wait."""
    for done in workers:
        while not done.wait(POLL_S):  # short, so that a signal reaches its handler in this thread
            pass


def _stop(workers: Iterable[threading.Event], token: CancelToken | None) -> None:
    """Cancel the token and wait until the workers have cleaned up. A second Ctrl+C does not cut that short."""
    while True:
        try:
            if token:
                token.cancel()
            _wait_for_all(workers)
        except KeyboardInterrupt:
            continue
        return
