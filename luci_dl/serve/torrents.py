"""Metainfo of the files that are here, made once each by a thread in the background, and kept."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

from luci_dl.cancel import start_thread
from luci_dl.disk import fs
from luci_dl.errors import IntegrityError, Interrupted, NotFound, StorageError
from luci_dl.serve.metainfo import metainfo
from luci_dl.serve.shelf import Shelf, ShelfFile

SMALLEST = 16 << 20
"""Bytes of a file for which a swarm pays."""
RESCAN_S = 10.0
"""How often the thread looks for new files."""
_MOST_ASKED = 64


class Torrents:
    """Makes and keeps them. Any thread may call.

    Args:
        home: the folder to keep them in.
        shelf: the files that are here.
    """

    def __init__(self, home: Path, shelf: Shelf) -> None:
        self._home = home
        self._shelf = shelf
        self._asked = deque[ShelfFile](maxlen=_MOST_ASKED)
        self._failed = set[ShelfFile]()
        self._wake = threading.Event()
        self._closed = threading.Event()
        start_thread(self._work, "luci-torrents")

    def get(self, file: ShelfFile) -> bytes | None:
        """The metainfo of the file; None until it is made.

        Raises: NotFound, when there will be none; StorageError.
        """
        if not may_share(file) or file in self._failed:
            raise NotFound(f"{file.name} is not shared from host to host", "Fetch it from here.")
        if data := fs.read_own(self._home / file.sha256):
            return data
        self._asked.append(file)
        self._wake.set()
        return None

    def look(self) -> None:
        """There may be new files."""
        self._wake.set()

    def close(self) -> None:
        """Make no more."""
        self._closed.set()
        self._wake.set()

    def _work(self) -> None:
        while not self._closed.is_set():
            if file := self._next():
                self._make(file)
            elif self._wake.wait(RESCAN_S):
                self._wake.clear()

    def _next(self) -> ShelfFile | None:
        """What is asked for before what is only there."""
        asked = [self._asked.popleft() for _ in range(len(self._asked))]
        try:
            made = {path.name for path in self._home.iterdir()}
        except OSError:
            made = set()
        waiting = [*asked, *(file for file in self._shelf.files() if may_share(file))]
        return next((file for file in waiting if file.sha256 not in made and file not in self._failed), None)

    def _make(self, file: ShelfFile) -> None:
        try:
            source, offset = fs.open_to_read(file.path), 0

            def read(count: int) -> bytes:
                nonlocal offset
                data = fs.read_at(source, count, offset)
                offset += len(data)
                return data

            data = metainfo(file.sha256, file.size, read, self._check)
            fs.make_folder(self._home)
            fs.write_file(self._home / file.sha256, data)
        except (IntegrityError, StorageError):
            self._failed.add(file)
        except Interrupted:
            return

    def _check(self) -> None:
        if self._closed.is_set():
            raise Interrupted


def may_share(file: ShelfFile) -> bool:
    """Whether it may go from host to host, where nobody asks who has a right to it, and whether that pays."""
    return file.access != "gated" and file.size >= SMALLEST
