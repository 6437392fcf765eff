"""Hands events from the engine to a renderer, which may be slow, stuck or broken, without ever waiting for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Protocol

from luci_dl.cancel import POLL_S, CancelToken, start_thread
from luci_dl.events import Event, FileProgress

GATHER_S = 0.01
"""Between two looks for events: to wake the thread for each one costs more than to show it."""
GRACE_S = 0.2
"""How long `close` waits for the renderer after the run was cancelled, in seconds: nobody may be reading its output."""


class Renderer(Protocol):
    """Shows events, one after the other, on the render thread."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """Restore the terminal, if the renderer changed it."""
        return


class RenderThread:
    """An `Emit` that never blocks: its own thread hands the events to the renderer.

    While the renderer is behind, only the latest progress of each file is kept; other events are never dropped. A
    renderer that raises is dropped, and the run continues without it.

    Raises: StorageError, when the system refuses the thread.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._pending: dict[str | int, Event] = {}
        self._count = 0
        self._open = True
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._ended = threading.Event()
        start_thread(self._run, "luci-ui")

    def __call__(self, event: Event) -> None:
        with self._changed:
            if not self._open:
                return
            self._count += 1
            if isinstance(event, FileProgress):
                self._pending.pop(event.name, None)  # so that the new one goes to the end
                self._pending[event.name] = event
            else:
                self._pending[self._count] = event
            self._changed.notify()

    def close(self, token: CancelToken) -> bool:
        """Show the pending events, and end the thread. Once the token is cancelled, the wait is limited to `GRACE_S`.

        Returns: False if the renderer did not finish in time.
        """
        with self._changed:
            self._open = False
            self._changed.notify()
        self._closing.set()
        while not token.cancelled:
            if self._ended.wait(POLL_S):
                return True
        return self._ended.wait(GRACE_S)

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # a renderer that fails is dropped
            for event in self._events():
                self._renderer(event)
        with self._changed:
            self._open = False
            self._pending.clear()
        with contextlib.suppress(Exception):
            self._renderer.close()
        self._ended.set()

    def _events(self) -> Iterator[Event]:
        """The pending events, in order, until the thread is closed and none is left."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or not self._open)
                if not self._pending:
                    return
                event = self._pending.pop(next(iter(self._pending)))
                is_last = not self._pending
            yield event
            if is_last:
                self._closing.wait(GATHER_S)
