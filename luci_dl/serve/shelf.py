"""The files that can be served: those with receipts that prove them, by their SHA-256."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from luci_dl.errors import LuciError
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledFile, installed
from luci_dl.model import Access

STALE_S = 2.0
"""So old may be what is known of the folders when a file is asked for that is not among it."""


@frozen
class ShelfFile:
    """One installed file. It can be read to its end at once: a `Stock` for `sending`.

    Attributes:
        name: the last part of its path.
        reference: what it was installed by.
        installed: when, ISO 8601 in UTC.
        url: where it came from; empty for a file that was adopted.
        mtime_ns: of the file when its bytes were last checked.
    """

    sha256: str
    path: Path
    size: int
    reference: str
    installed: str
    access: Access
    url: str
    mtime_ns: int
    attempt: int = 0
    error: LuciError | None = None

    @property
    def name(self) -> str:
        return self.path.name

    def readable(self, _offset: int) -> int:
        """All of it."""
        return self.size

    def want(self, _offset: int) -> None:
        """It is there."""

    def descriptor(self) -> int | None:
        """Open it; the caller closes the descriptor. Raises: OSError, also if another file has taken its place."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        if not self._is(os.fstat(descriptor)):
            os.close(descriptor)
            raise OSError(f"{self.path} has changed")
        return descriptor

    @property
    def is_unchanged(self) -> bool:
        """By its size and mtime."""
        try:
            return self._is(self.path.stat())
        except OSError:
            return False

    def _is(self, info: os.stat_result) -> bool:
        return (info.st_size, info.st_mtime_ns) == (self.size, self.mtime_ns)


class Shelf:
    """What is installed in these folders. Any thread may call; the first call, and some later ones, read receipts."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._files: dict[str, ShelfFile] = {}
        self._read_at = -STALE_S
        self._lock = threading.Lock()

    def find(self, sha256: str) -> ShelfFile | None:
        """The file with that SHA-256, if its size and mtime are still those of its receipt."""
        file = self._files.get(sha256)
        if file is None or not file.is_unchanged:
            file = self._read().get(sha256)
        return file if file and file.is_unchanged else None

    def files(self) -> Sequence[ShelfFile]:
        """All of them, by name."""
        return sorted(self._read().values(), key=lambda file: (file.name, file.sha256))

    def forget(self) -> None:
        """Look into the folders with the next call."""
        self._read_at = -STALE_S

    def _read(self) -> dict[str, ShelfFile]:
        with self._lock:
            now = time.monotonic()
            if now - self._read_at >= STALE_S:
                files = [file for model in installed(self._folders) for file in model.files]
                self._files = {
                    file.receipt.sha256: _shelf_file(file)
                    for file in sorted(files, key=lambda file: file.receipt.access == "public")  # that counts
                    if file.state == "ok" and file.receipt.proof != "none"
                }
                self._read_at = now
            return self._files


def _shelf_file(file: InstalledFile) -> ShelfFile:
    known = file.receipt
    access: Access = next((each for each in get_args(Access) if each == known.access), "unknown")
    return ShelfFile(
        known.sha256, file.path, known.size, known.reference, known.installed, access, known.url, known.mtime_ns
    )
