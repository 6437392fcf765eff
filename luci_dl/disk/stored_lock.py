"""Locks on many files, held without a descriptor of this process for each."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.disk.folder_lock import FolderLock
from luci_dl.disk.lock import Lock

_BATCH = 32  # descriptors in one message; the system allows 253


class DescriptorStore:
    """Keeps files open, and so their locks held, without a descriptor for each.

    The kernel keeps a file open while a message with its descriptor waits in a socket; nobody reads this one. If that
    fails, the descriptors themselves are kept.
    """

    def __init__(self) -> None:
        with fs.storage_errors("make", "a pair of sockets"):
            self._sockets = socket.socketpair()
        self._sockets[0].setblocking(False)
        self._waiting: list[int] = []
        self._kept: list[int] = []

    def add(self, fd: int) -> None:
        """Take over the descriptor."""
        self._waiting.append(fd)
        if len(self._waiting) == _BATCH:
            self._send()

    def _send(self) -> None:
        fds, self._waiting = self._waiting, []
        try:
            socket.send_fds(self._sockets[0], [b"."], fds)
        except OSError:
            self._kept += fds
        else:
            for fd in fds:
                os.close(fd)

    def close(self) -> None:
        """Close all files. Harmless twice; never fails."""
        fds, self._waiting, self._kept = self._waiting + self._kept, [], []
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        for end in self._sockets:
            end.close()


class StoredLock(Lock):
    """A lock whose descriptor goes into a store when it is taken: closing the store releases it."""

    def __init__(self, path: Path, store: DescriptorStore, stand_in: FolderLock | None = None) -> None:
        super().__init__(path, stand_in)
        self._store = store

    def try_acquire(self) -> bool:
        """As `Lock.try_acquire`."""
        if not super().try_acquire():
            return False
        if self.held:  # else its folder is, in its place
            self._store.add(self._give_away())
        return True

    def _overwrite(self, text: bytes) -> None:
        if self._is_at_path() and (file := fs.open_own(self.path)):
            fs.overwrite(file.fd, text)

    def _read_own(self) -> bytes:
        return fs.read_own(self.path) or b""

    def release(self) -> None:
        """Forget the lock; it is released when the store is closed."""
        self._identity = None
        super().release()
