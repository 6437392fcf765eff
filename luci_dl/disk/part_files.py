"""A part and its journal: named by one thread at a time, and never again once they were removed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from luci_dl.disk import fs
from luci_dl.disk.journal import Header, Journal
from luci_dl.disk.layout import Staging
from luci_dl.plan import Revoked


class PartFiles:
    """The two files of one target. After `remove` their names may be another process's: `create` and `begin` refuse."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._turn = threading.Lock()
        self._removed = False

    def create(self) -> fs.File:
        """A new, empty part. Raises: Revoked; StorageError."""
        with self._naming():
            return fs.create(self._staging.part)

    def begin(self, log: Journal, header: Header) -> None:
        """Have the journal start over with this header. Raises: Revoked; StorageError."""
        with self._naming():
            log.begin(header)

    def clear(self) -> bool:
        """Delete both; False when there was no part. Raises: StorageError."""
        with self._turn:
            return self._unlink()

    def remove(self) -> bool:
        """Delete both, for good; False when there was no part. Raises: StorageError."""
        with self._turn:
            self._removed = True
            return self._unlink()

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        with self._turn:
            if self._removed:
                raise Revoked
            yield

    def _unlink(self) -> bool:
        there = fs.is_own(self._staging.part) and fs.unlink(self._staging.part)
        fs.unlink(self._staging.journal)
        return there
