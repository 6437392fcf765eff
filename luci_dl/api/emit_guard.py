"""Protects the engine from the caller's `emit`: if that raises, the work stops, and the error goes to the caller."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from luci_dl.cancel import CancelToken
from luci_dl.errors import refusal
from luci_dl.events import Emit, Event


class EmitGuard:
    """Passes events on while the block runs. After the caller's `emit` has raised, it is not called again.

    The token is cancelled then, so the work stops and cleans up; the block raises the error of `emit`. Where the system
    refuses threads, files or memory to the block, that is a StorageError.

    Attributes:
        token: the caller's own, or a new one.
    """

    def __init__(self, token: CancelToken | None, emit: Emit) -> None:
        self.token = token or CancelToken()
        self._emit = emit
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        if self._error is None:
            try:
                self._emit(event)
            except BaseException as error:  # noqa: BLE001 - raised again at the end
                with self._lock:
                    self._error = self._error or error
                self.token.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._error is not None:
            raise self._error from None
        if error and (refused := refusal(error)):
            raise refused from error
