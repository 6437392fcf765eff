"""Files that several threads change, and the gate that ends all changes for good, before the lock is released."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.disk.watch import inode_at, vanished
from luci_dl.plan import Revoked

_PINS = threading.BoundedSemaphore(32)  # files that stay open though they are not used


class Gate:
    """Decides whether a change may begin. Its mutex is never held during a change, which may take long."""

    def __init__(self) -> None:
        self.names = threading.Lock()  # held by the thread that creates, opens or deletes a file by its name
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

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Create or open a file by its name. Not after the name was deleted: another process may use it by then.

        Raises: Revoked, when the gate is closed.
        """
        with self.names, self.change():
            yield

    def check(self) -> None:
        """Raises: Revoked, when the gate is closed."""
        if self._closed:
            raise Revoked

    def close(self, until: float = 0.0) -> bool:
        """Allow no more changes, and wait for those under way, at most until `until` (`time.monotonic`).

        Returns: False when one is still under way and may change the file.
        """
        with self._state:
            self._closed = True
            return self._state.wait_for(lambda: not self._under_way, max(0.0, until - time.monotonic()))


class GuardedFile:
    """A file that is only changed through a gate. Reading needs none.

    It need not be open while it is not used: after `close_until_used`, the next use opens it again.
    """

    def __init__(self, file: fs.File, gate: Gate) -> None:
        self.path: Path = file.path
        self._gate = gate
        self._file: fs.File | None = file
        self._inode: int | None = file.info.st_ino
        self._pinned = False
        self._opening = threading.Lock()

    @property
    def raw(self) -> fs.File:
        """The open file, for reading. Raises: Revoked, after `close`; StorageError."""
        with self._opening:
            if self._file is None:
                with self._gate.naming():
                    file = fs.open_own(self.path)
                if file is None or self._inode not in (None, file.info.st_ino):
                    raise vanished(self.path)
                self._file, self._inode = file, file.info.st_ino
            return self._file

    def close_until_used(self, *, same: bool) -> None:
        """Close the file until it is used again. A few such files of the process stay open.

        That is for file systems like FAT, which may give a file a new inode number when no process has it open.

        Args:
            same: its bytes count, so the next use must find the same inode.
        """
        with self._opening:
            self._pinned = self._pinned or _PINS.acquire(blocking=False)
            if not self._pinned:
                self._file, self._inode = None, self._inode if same else None

    def close(self) -> None:
        """Close the file for good. Calls under way keep it open until they return."""
        with self._opening:
            self._file = None
            if self._pinned:
                self._pinned = False
                _PINS.release()

    def check_there(self) -> None:
        """Raises: StorageError, when the name leads to no file, or to another one than the one that is open."""
        file, found = self._file, inode_at(self.path)
        if found is None or (file and found != file.info.st_ino):
            raise vanished(self.path)

    @property
    def size(self) -> int:
        return self.raw.size

    def write(self, data: bytes | memoryview, offset: int, *, past_cache: bool = False) -> None:
        """As `fs.write_at`. This and the others raise: Revoked, when the gate is closed; StorageError."""
        with self._gate.change():
            fs.write_at(self.raw, data, offset, past_cache=past_cache)

    def set_length(self, size: int) -> None:
        """As `fs.set_length`."""
        with self._gate.change():
            fs.set_length(self.raw, size)

    def allocate(self, size: int, *, grow: bool = True) -> None:
        """As `fs.allocate`, which raises OSError."""
        with self._gate.change():
            fs.allocate(self.raw, size, grow=grow)

    def clone(self, source: fs.File) -> bool:
        """As `fs.clone`."""
        with self._gate.change():
            return fs.clone(source, self.raw)

    @contextlib.contextmanager
    def lent(self) -> Iterator[fs.File]:
        """The open file, to be changed by somebody else until the block ends: one change for the gate."""
        with self._gate.change():
            yield self.raw

    def sync(self) -> None:
        """As `fs.sync_data`. It changes no byte, so closing the gate does not wait for it."""
        self._gate.check()
        fs.sync_data(self.raw)
