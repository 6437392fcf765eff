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
        self._began = time.monotonic()
        self._answered: Future[Answered] = Future()
        start_thread(self._run, "luci-head-start")

    def _run(self) -> None:
        try:
            self._answered.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001 - raised by `take`
            self._answered.set_exception(error)

    def take(self) -> Answered:
        """What was asked, or what is asked now if that was too long ago. Raises: as `ask`."""
        if time.monotonic() - self._began < FRESH_S:
            return self._answered.result()
        self.close()
        return self._ask()

    def close(self) -> None:
        """Close the response, now or when it comes."""
        self._answered.add_done_callback(_close)


def _close(answered: Future[Answered]) -> None:
    if not answered.exception():
        answered.result()[0].close()
