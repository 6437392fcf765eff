"""A file that several threads change, and the gate that ends all changes for good before its lock is released."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.plan import Revoked


class Gate:
    """Decides whether a change may begin. Its mutex is never held during a change, which may take long."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._closed = False
        self._under_way = 0

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Make one change. Raises: Revoked, when the gate is closed."""
        with self._state:
            if self._closed:
                raise Revoked
            self._under_way += 1
        try:
            yield
        finally:
            with self._state:
                self._under_way -= 1
                self._state.notify_all()

    def check(self) -> None:
        """Raises: Revoked, when the gate is closed."""
        if self._closed:
            raise Revoked

    def close(self, until: float = 0.0) -> bool:
        """Let no change begin any more, and wait for those under way, but not beyond `until` (`time.monotonic`).

        Returns: False when one is still under way: the file may yet be changed by it.
        """
        with self._state:
            self._closed = True
            return self._state.wait_for(lambda: not self._under_way, max(0.0, until - time.monotonic()))


class GuardedFile:
    """An open file; whatever changes it passes its gate first. Reading is free."""

    def __init__(self, file: fs.File, gate: Gate) -> None:
        self.path: Path = file.path
        self._file = file
        self._gate = gate

    @property
    def raw(self) -> fs.File:
        """The file itself, for reading."""
        return self._file

    @property
    def size(self) -> int:
        return self._file.size

    def write(self, data: bytes | memoryview, offset: int, *, past_cache: bool = False) -> None:
        """As `fs.write_at`. This and the others raise: Revoked, when the gate is closed; StorageError."""
        with self._gate.change():
            fs.write_at(self._file, data, offset, past_cache=past_cache)

    def set_length(self, size: int) -> None:
        """As `fs.set_length`."""
        with self._gate.change():
            fs.set_length(self._file, size)

    def allocate(self, size: int, *, grow: bool = True) -> None:
        """As `fs.allocate`, which raises OSError."""
        with self._gate.change():
            fs.allocate(self._file, size, grow=grow)

    def clone(self, source: fs.File) -> bool:
        """As `fs.clone`."""
        with self._gate.change():
            return fs.clone(source, self._file)

    def sync(self) -> None:
        """As `fs.sync_data`. It changes no byte, so closing the gate does not wait for it."""
        self._gate.check()
        fs.sync_data(self._file)
