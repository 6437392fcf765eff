"""A request that is sent before anyone waits for its response."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from luci_dl.cancel import start_thread

if TYPE_CHECKING:
    from luci_dl.net.redirects import Answered

FRESH_S = 5.0
"""A server may soon give up a response that nobody reads."""


class HeadStart:
    """Runs `ask` in a thread of its own. Whoever needs the response takes it; else it is closed.

    Raises: StorageError, when the system refuses the thread.
    """

    def __init__(self, ask: Callable[[], Answered]) -> None:
        self._ask = ask
        self._answered: Future[tuple[float, Answered]] = Future()  # when, by `time.monotonic`, and what
        start_thread(self._run, "luci-head-start")

    def _run(self) -> None:
        try:
            answered = self._ask()
            self._answered.set_result((time.monotonic(), answered))
        except BaseException as error:  # noqa: BLE001 - raised by `take`
            self._answered.set_exception(error)

    def take(self) -> Answered:
        """The response; if it came too long ago, that to another request. Raises: as `ask`."""
        came, answered = self._answered.result()
        if time.monotonic() - came < FRESH_S:
            return answered
        self.close()
        return self._ask()

    def close(self) -> None:
        """Close the response, now or when it comes."""
        self._answered.add_done_callback(_close)


def _close(future: Future[tuple[float, Answered]]) -> None:
    if not future.exception():
        _came, (response, _location) = future.result()
        response.close()
