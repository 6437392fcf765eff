"""Small things kept on disk, each by a key: up to a limit, the least recently used go."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.errors import LuciError, StorageError
from luci_dl.frozen import frozen

_NAME = re.compile("([0-9a-f]{64})-([0-9a-f]{64})")
"""Of a file: the SHA-256 of its key, and of its content."""
LEAST = 16 << 10
"""Bytes that each file counts at least, so that there are not too many."""


@frozen
class KeptFile:
    """A file: a `Stock` for `sending`. `mtime_ns`: when it was found to be whole; 0 if it was not yet."""

    path: Path
    size: int
    mtime_ns: int = 0
    attempt: int = 0
    error: LuciError | None = None

    @property
    def cost(self) -> int:
        """What it counts of the limit."""
        return max(self.size, LEAST)

    def readable(self, _offset: int) -> int:
        """All of it."""
        return self.size

    def want(self, _offset: int) -> None:
        """It is there."""

    def descriptor(self) -> int | None:
        """Open it; the caller closes the descriptor. Raises: OSError."""
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)


class Kept:
    """What is in a folder that nobody else changes. Any thread may call; damaged files count as missing.

    Args:
        limit: bytes of all files together; each counts `LEAST` at least.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._files = _files_in(folder)
        """By the hash of the key; the least recently used come first."""

    def read(self, key: str) -> bytes | None:
        """What was kept by that key; None when there is nothing."""
        if (file := self._used(_hash(key.encode()))) is None:
            return None
        with contextlib.suppress(StorageError):
            data = fs.read_own(file.path)
            if data is not None and file.path.name.endswith(f"-{_hash(data)}"):
                return data
        return None

    def find(self, key: str) -> KeptFile | None:
        """The file of what was kept by that key; None when there is none. A later `write` may remove it."""
        hashed = _hash(key.encode())
        if (file := self._used(hashed)) is None:
            return None
        try:
            mtime_ns = file.path.stat().st_mtime_ns
        except OSError:
            return None
        if mtime_ns != file.mtime_ns:
            if self.read(key) is None:
                return None
            old, file = file, replace(file, mtime_ns=mtime_ns)
            with self._lock:
                if self._files.get(hashed) == old:
                    self._files[hashed] = file
        return file

    def _used(self, hashed: str) -> KeptFile | None:
        with self._lock:
            if file := self._files.pop(hashed, None):
                self._files[hashed] = file
            return file

    def write(self, key: str, data: bytes) -> KeptFile:
        """Keep it in place of what was kept by that key. Raises: StorageError."""
        hashed = _hash(key.encode())
        file = KeptFile(self._folder / f"{hashed}-{_hash(data)}", len(data))
        with self._lock:
            fs.make_folder(self._folder)
            fs.write_file(file.path, data, private=True, sync=False)
            old = self._files.pop(hashed, None)
            self._files[hashed] = file
            if old and old.path != file.path:
                fs.unlink(old.path)
            self._make_room()
        return file

    def remove(self, key: str) -> None:
        """Keep it no longer."""
        with self._lock, contextlib.suppress(StorageError):
            if file := self._files.pop(_hash(key.encode()), None):
                fs.unlink(file.path)

    def _make_room(self) -> None:
        """Raises: StorageError."""
        size = sum(file.cost for file in self._files.values())
        while size > self._limit and len(self._files) > 1:
            oldest = self._files.pop(next(iter(self._files)))
            fs.unlink(oldest.path)
            size -= oldest.cost


def _files_in(folder: Path) -> dict[str, KeptFile]:
    """The files by the hash of their key, what was used last at the end; where reading sets no time, written last."""
    used = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            info = path.stat()
            used.append((max(info.st_atime, info.st_mtime), path, info.st_size))
    files: dict[str, KeptFile] = {}
    for _, path, size in sorted(used):
        name = _NAME.fullmatch(path.name)
        old = files.pop(name[1], None) if name else KeptFile(path, size)
        if name:
            files[name[1]] = KeptFile(path, size)
        if old:  # a process ended before it was removed
            with contextlib.suppress(StorageError):
                fs.unlink(old.path)
    return files


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
