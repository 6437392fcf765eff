"""Carries events from the engine to a renderer, which may be slow, stuck or broken, without ever waiting for it."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from luci_dl.cancel import POLL_S, CancelToken
from luci_dl.events import Event, Hashing, Progress, Waiting

GRACE_S = 0.2
"""How long `close` still waits for a stuck renderer once the user wishes to stop, in seconds."""


class Renderer(Protocol):
    """Shows events, one after the other, on the pump's thread."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """Leave the terminal as it should be."""
        ...


class RenderThread:
    """An `Emit` that never blocks: a thread of its own hands the events to the renderer.

    While the renderer is behind, of the events that only say how far a file is the latest is kept; no other is
    ever dropped. A renderer that raises is dropped, and the run goes on without.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._pending: dict[str | int, Event] = {}
        self._told = 0
        self._open = True
        self._changed = threading.Condition()
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="luci-ui", daemon=True).start()

    def __call__(self, event: Event) -> None:
        with self._changed:
            if not self._open:
                return
            self._told += 1
            if isinstance(event, Progress | Hashing | Waiting):
                self._pending.pop(event.name, None)  # so that the new one takes its place at the end
                self._pending[event.name] = event
            else:
                self._pending[self._told] = event
            self._changed.notify()

    def close(self, timeout: float | None, token: CancelToken | None = None) -> bool:
        """Show what is still to be shown, and end.

        Args:
            timeout: seconds to wait for that; None: as long as it takes.
            token: when it is cancelled, the wait is cut down to `GRACE_S`.

        Returns:
            False when the renderer was not done in time.
        """
        with self._changed:
            self._open = False
            self._changed.notify()
        if token is None:
            return self._ended.wait(timeout)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not token.cancelled and time.monotonic() < deadline:
            if self._ended.wait(POLL_S):
                return True
        return self._ended.wait(max(0.0, min(GRACE_S, deadline - time.monotonic())))

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
        """What was told, in order, until the pump is closed and empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or not self._open)
                if not self._pending:
                    return
                event = self._pending.pop(next(iter(self._pending)))
            yield event
