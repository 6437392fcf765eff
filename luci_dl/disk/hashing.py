"""Digests of files on disk. Reading takes long, so it happens beside the thread that answers signals."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Empty, Queue

from luci_dl.cancel import CancelToken, run_cancellable, start_thread
from luci_dl.disk import fs
from luci_dl.disk.blocks import BlockHash
from luci_dl.events import Emit, Hashing
from luci_dl.model import Digest, Hash

BLOCK = 1 << 20
AHEAD = 3
"""Blocks that are read ahead while one is hashed."""
Hashed = Callable[[int], None]
"""Called in the calling thread, now and then, with the number of bytes hashed so far."""
State = tuple[int, "hashlib._Hash"]
"""An offset, and the running SHA-256 of all bytes before it."""


class Reader:
    """Passes one file from its beginning to some hashes, in steps; to `beside` in the thread that reads ahead."""

    def __init__(self, file: fs.File, token: CancelToken, *hashes: Hash, beside: BlockHash | None = None) -> None:
        self.offset = 0
        self._file = file
        self._token = token
        self._hashes = hashes
        self._beside = beside

    def read_to(self, end: int | None) -> bool:
        """Hash up to `end` (None: the end of the file); False when the file is shorter than that."""
        for data in _read_ahead(self._file, self.offset, end, self._beside):
            self._token.check()
            for each in self._hashes:
                each.update(data)
            self.offset += len(data)
        return end is None or self.offset >= end

    def read_all(self, hashed: Hashed) -> None:
        """Hash the whole file beside the calling thread. Raises: Interrupted; StorageError."""
        run_cancellable(lambda: self.read_to(None), self._token, lambda: hashed(self.offset))


def _read_ahead(file: fs.File, start: int, end: int | None, beside: BlockHash | None) -> Iterator[bytes]:
    """The file's blocks from `start` to `end`, read ahead in a thread of their own. Raises: StorageError."""
    blocks: Queue[bytes | Exception] = Queue(AHEAD)
    over = threading.Event()

    def read() -> None:
        at = start
        try:
            while not over.is_set() and (data := fs.read_at(file, BLOCK if end is None else min(BLOCK, end - at), at)):
                blocks.put(data)
                at += len(data)
                if beside:
                    beside.update(data)
            blocks.put(b"")
        except Exception as error:  # noqa: BLE001 - raised again where the blocks are taken
            blocks.put(error)

    start_thread(read, "luci-read")
    try:
        while data := blocks.get():
            if isinstance(data, Exception):
                raise data
            yield data
    finally:
        over.set()
        with contextlib.suppress(Empty):  # a thread that waits to put one more block wakes up and ends
            while True:
                blocks.get_nowait()


def report_hashing(emit: Emit, name: str, path: Path) -> Hashed:
    """A callback that emits how much of the file at `path` is hashed, as events about `name`."""

    def hashed(done: int) -> None:
        try:
            total = path.stat().st_size
        except OSError:  # deleted while it is read
            total = done
        emit(Hashing(name, done, total))

    return hashed


def hash_file(path: Path, token: CancelToken, hashed: Hashed, blocks: BlockHash | None = None) -> tuple[str, int]:
    """The SHA-256 and the size of the file at `path`, following symlinks.

    Args:
        blocks: to hash the same bytes with, by the way.

    Raises: Interrupted; StorageError.
    """
    sha = hashlib.sha256()
    reader = Reader(fs.open_to_read(path), token, sha, beside=blocks)
    reader.read_all(hashed)
    return sha.hexdigest(), reader.offset


def hash_again(
    file: fs.File, size: int, digests: Iterable[Digest], token: CancelToken, hashed: Hashed
) -> dict[Digest, str]:
    """The digests of a file of `size` bytes that cannot be derived from its SHA-256. It is read once, if at all.

    Raises: Interrupted; StorageError.
    """
    hashes = {digest: digest.start(size) for digest in digests if digest.start}
    if hashes:
        Reader(file, token, *hashes.values()).read_all(hashed)
    return {digest: hash_.hexdigest() for digest, hash_ in hashes.items()}
