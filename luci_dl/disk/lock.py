"""The lock on one target: taken with filelock, and a text that says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from luci_dl.disk import fs
from luci_dl.disk.lock_info import LockInfo
from luci_dl.errors import StorageError

_LOCK_MODE = 0o664  # several users of one group may share a models folder
_TEXT_MAX = 1 << 16  # bytes of a lock file that are read


class Lock:
    """The exclusive lock on one target. Its file says who holds it; only a held lock makes that text true."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._mutex = threading.Lock()  # the text is written by one thread, the lock released by another
        self._file = FileLock(
            path,
            mode=_LOCK_MODE,
            thread_local=False,  # its default makes a release from another thread a silent no-op
            fallback_to_soft=False,
            preserve_lock_file=True,
            on_acquired=self._borrow,
        )

    def _borrow(self, fd: int) -> None:
        self._fd = fd

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it, making its folder where that is missing. Raises: StorageError."""
        while True:
            fs.make_folder(self.path.parent)
            fs.is_own(self.path)
            try:
                self._file.acquire(blocking=False)
            except Timeout:
                if os.path.isdir(self.path.parent):
                    return False  # held, not its folder cleaned away
            except (FileNotFoundError, FileExistsError):
                continue  # `clean` removed the empty folder in between, which filelock too tries to make
            except OSError as error:
                raise StorageError(
                    f"cannot lock {self.path}: {error.strerror or error}",
                    "Check what lies there and who owns the folder.",
                    error.strerror or "",
                ) from error
            else:
                if self._is_at_path():
                    return True
                self.release()  # `clean` unlinked the file in between

    def _is_at_path(self) -> bool:
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            return False
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def write(self, holder: LockInfo) -> None:
        """Say who holds the lock, if it is still held. A text that cannot be written is not worth an error."""
        with self._mutex:
            if self.held:
                with contextlib.suppress(OSError):
                    fs.overwrite(self._fd, holder.to_bytes())

    def read(self) -> LockInfo | None:
        """Who holds the lock, or held it last; None when the file does not say."""
        return read_lock_info(self.path)

    def is_ours(self, nonce: str) -> bool:
        """True when the path still leads to this very lock and its text carries our nonce."""
        with self._mutex:
            holder = self.read()
            return self.held and self._is_at_path() and holder is not None and holder.nonce == nonce

    def release(self) -> None:
        """Let go; harmless when not held."""
        with self._mutex:
            if self.held:
                self._fd = -1
                self._file.release(force=True)

    def unlink_and_release(self) -> None:
        """Remove the lock file, as the last act while holding it: nobody else can have it by this name then."""
        fs.unlink(self.path)
        self.release()


def read_lock_info(path: Path) -> LockInfo | None:
    """What the lock file at `path` says, without taking the lock; None when it says nothing that luci knows."""
    try:
        with _opened(path) as file:
            return LockInfo.from_bytes(file.read(_TEXT_MAX))
    except OSError:
        return None


def _opened(path: Path) -> BinaryIO:
    """To be read, without waiting for a writer where somebody has put a pipe. Raises: OSError."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock file at `path`.

    Who holds it is not disturbed. A free one is taken for an instant, but shared, so that others may look as well,
    and from a descriptor that only reads, so that those may look who may not write.
    """
    try:
        with _opened(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs, waiting for it as long as it takes."""
    fs.make_folder(path.parent)
    with (
        fs.storage_errors("lock", path),
        FileLock(path, mode=_LOCK_MODE, fallback_to_soft=False, preserve_lock_file=True),
    ):
        yield
