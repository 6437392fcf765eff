"""Reading files back to learn their digests. Slow by nature: off the thread that answers signals."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Empty, Queue

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.events import Emit, Hashing

BLOCK = 1 << 20
AHEAD = 3
"""Blocks that are read while one is hashed."""
Hashed = Callable[[int], None]
"""Called on the calling thread, at intervals, with the number of bytes read back so far."""


class Reader:
    """Hashes one file from its beginning, mark by mark, with `sha`: SHA-256 unless it is another."""

    def __init__(self, file: fs.File, token: CancelToken, sha: hashlib._Hash | None = None) -> None:
        self.offset = 0
        self.sha = sha or hashlib.sha256()
        self._file = file
        self._token = token

    def read_to(self, end: int | None) -> bool:
        """Hash up to `end` (None: the end of the file); False when the file is shorter than that."""
        for data in _read_ahead(self._file, self.offset, end):
            self._token.check()
            self.sha.update(data)
            self.offset += len(data)
        return end is None or self.offset >= end


def _read_ahead(file: fs.File, start: int, end: int | None) -> Iterator[bytes]:
    """The file's blocks from `start` to `end`: while one is hashed, the next ones are read. Raises: StorageError."""
    blocks: Queue[bytes | Exception] = Queue(AHEAD)
    over = threading.Event()

    def read() -> None:
        at = start
        try:
            while not over.is_set() and (data := fs.read_at(file, BLOCK if end is None else min(BLOCK, end - at), at)):
                blocks.put(data)
                at += len(data)
            blocks.put(b"")
        except Exception as error:  # noqa: BLE001 - raised again where the blocks are taken
            blocks.put(error)

    threading.Thread(target=read, name="luci-read", daemon=True).start()
    try:
        while data := blocks.get():
            if isinstance(data, Exception):
                raise data
            yield data
    finally:
        over.set()
        with contextlib.suppress(Empty):  # unblocks a reader thread that waits to put a block, so that it sees `over`
            while True:
                blocks.get_nowait()


def report_hashing(emit: Emit, name: str, path: Path) -> Hashed:
    """What reports, as events about `name`, how much of the file at `path` is hashed."""

    def hashed(done: int) -> None:
        try:
            total = path.stat().st_size
        except OSError:  # deleted while it is read
            total = done
        emit(Hashing(name, done, total))

    return hashed


def longest_prefix(
    file: fs.File, marks: Iterable[tuple[int, str]], token: CancelToken, hashed: Hashed
) -> tuple[int, hashlib._Hash]:
    """The longest prefix of the file that one of the marks proves, and the running hash at its end.

    Args:
        marks: pairs of an offset and the SHA-256 of every byte below it.

    Raises: Interrupted; StorageError.
    """
    reader = Reader(file, token)

    def work() -> tuple[int, hashlib._Hash]:
        best = (0, hashlib.sha256())
        for offset, digest in sorted(marks):
            if not reader.read_to(offset):
                break
            if reader.sha.hexdigest() == digest:
                best = (offset, reader.sha.copy())
        return best

    return run_cancellable(work, token, lambda: hashed(reader.offset))


def hash_file(path: Path, token: CancelToken, hashed: Hashed) -> tuple[str, int]:
    """The SHA-256 and the size of the file at `path`, following symlinks.

    Raises: Interrupted; StorageError.
    """
    reader = Reader(fs.open_to_read(path), token)
    run_cancellable(lambda: reader.read_to(None), token, lambda: hashed(reader.offset))
    return reader.sha.hexdigest(), reader.offset


def hash_blob(file: fs.File, size: int, token: CancelToken, hashed: Hashed) -> str:
    """The git blob SHA-1 of the file, which has `size` bytes.

    Raises: Interrupted; StorageError.
    """
    sha = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    reader = Reader(file, token, sha)
    run_cancellable(lambda: reader.read_to(None), token, lambda: hashed(reader.offset))
    return sha.hexdigest()
