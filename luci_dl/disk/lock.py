"""The lock on one target: taken with filelock, and described by a text in the lock file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.folder_lock import FolderLock, is_taken
from luci_dl.disk.lock_info import LockInfo
from luci_dl.errors import NoRoom, StorageError

_LOCK_MODE = 0o664  # several users of one group may share a models folder
_TEXT_MAX = 1 << 16  # bytes of a lock file that are read
_GLANCE_S = 0.005  # longer than a look at a lock takes
_TRIES = 100  # to take a lock that nobody holds for longer than a moment
_FILE_POLL_S = 0.05
_VANISHES_HINT = "Check whether a program cleans up there, and the disk; or choose another folder with --dir."
_DISTRUSTED_HINT = "Ask who put it there to run `luci clean`, or choose another folder with --dir."


class Lock:
    """The exclusive lock on one target. Its file says who holds it; the text is valid only while the lock is held.

    Args:
        stand_in: the lock on its folder, to be taken where there is no room for the file: only to delete.
    """

    def __init__(self, path: Path, stand_in: FolderLock | None = None) -> None:
        self.path = path
        self._may_stand_in = stand_in is not None
        self._folder = stand_in or FolderLock(path.parent)
        self._fd = -1
        self._identity: tuple[int, int] | None = None  # device and inode of the file, while it is locked
        self._mutex = threading.Lock()  # one thread writes the text, another one may release the lock
        self._has_text = True  # the file says what was written last; False when the disk refused that
        from filelock import FileLock  # slow to load: who only looks at locks does without it

        self._file = FileLock(
            path,
            mode=_LOCK_MODE,
            thread_local=False,  # the default makes a release from another thread a silent no-op
            fallback_to_soft=False,
            preserve_lock_file=True,
            on_acquired=self._borrow,
        )

    def _borrow(self, fd: int) -> None:
        info = os.fstat(fd)
        self._fd, self._identity = fd, (info.st_dev, info.st_ino)

    @property
    def held(self) -> bool:
        return self._identity is not None

    def try_acquire(self) -> bool:
        """Take the lock unless another process holds it, making its folder where that is missing.

        A look at the lock (`is_held`) by another process makes this take a few milliseconds longer, not fail.
        Raises: StorageError
        """
        made: list[Path] = []
        try:
            return self._try_file(made)
        except StorageError as error:
            self._release_file()
            for folder in reversed(made):
                fs.remove_empty(folder)
            if not (self._may_stand_in and isinstance(error, NoRoom)):
                raise
            try:
                return self._try_folder()
            except OSError:
                raise error from None

    def _try_folder(self) -> bool:
        """Take the lock on the folder, or use it, unless there is a file to be locked."""
        was_held = self._folder.held
        if not self._folder.try_acquire():
            return False
        has_file = os.path.lexists(self.path)
        if has_file and not was_held:
            self._folder.release()
        return not has_file

    def _try_file(self, made: list[Path]) -> bool:
        """Adds the folders that it makes to `made`."""
        from filelock import Timeout

        for tries in range(_TRIES):
            made += fs.make_folder(self.path.parent)
            fs.is_own(self.path)
            with fs.storage_errors("lock", self.path):
                try:
                    self._file.acquire(blocking=False)
                except Timeout:
                    if is_held(self.path):
                        return False
                    if tries == _TRIES - 1:
                        self._check_allowed()
                        return False
                    time.sleep(random.uniform(0, _GLANCE_S))
                    continue
                except PermissionError as error:
                    raise self._refused(error) from error
                except (FileNotFoundError, FileExistsError):
                    if tries == _TRIES - 1:
                        raise
                    continue  # `clean` removed the empty folder in between, which filelock tries to make, too
            with fs.storage_errors("look at", self.path.parent):
                is_free = self._folder.is_free()  # asked first, or the file could be unlinked in between
            if is_free and self._is_at_path():
                return True
            self._release_file()
            if not is_free:
                return False  # else `clean` unlinked the file in between
        raise StorageError(f"cannot lock {self.path}: it vanishes whenever it is made", _VANISHES_HINT)

    def _check_allowed(self) -> None:
        """Raises: OSError, where the system lets nobody lock the file, which filelock takes for the lock of another."""
        info = read_lock_info(self.path)
        if info and not info.outcome:  # some file systems say the same of a lock that is held
            return
        with contextlib.suppress(BlockingIOError), open(self.path, "rb", opener=_open) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _refused(self, error: PermissionError) -> Exception:
        """The error to raise: filelock has reasons of its own to distrust a file that others may replace."""
        if not error.strerror or error.strerror == os.strerror(error.errno or 0):
            return error
        return StorageError(f"cannot lock {self.path}: {error.strerror}", _DISTRUSTED_HINT, error.strerror)

    def _is_at_path(self) -> bool:
        with fs.storage_errors("look at", self.path):
            try:
                there = os.lstat(self.path)
            except FileNotFoundError:
                return False
        return (there.st_dev, there.st_ino) == self._identity

    def write(self, info: LockInfo) -> None:
        """Write who holds the lock into its file, if it is still held. A failure is ignored: the text only informs."""
        with self._mutex:
            if self.held:
                try:
                    self._overwrite(info.to_bytes())
                    self._has_text = True
                except (OSError, StorageError):
                    self._has_text = False

    def _overwrite(self, text: bytes) -> None:
        """Raises: OSError; StorageError."""
        fs.overwrite(self._fd, text)

    def is_ours(self, nonce: str) -> bool:
        """Whether the path still leads to the file that was locked, and its text has our nonce, if it could be written.

        Raises: StorageError
        """
        with self._mutex, fs.storage_errors("read", self.path):
            if not (self.held and self._is_at_path()):
                return False
            return not self._has_text or b'"nonce": "%b"' % nonce.encode() in self._read_own()

    def _read_own(self) -> bytes:
        """Raises: OSError; StorageError."""
        return os.pread(self._fd, _TEXT_MAX, 0)

    def keeps_others_out(self) -> bool:
        """Whether the file system refuses to others the lock that is held here."""
        return is_held(self._folder.path if self._folder.held else self.path)

    def release(self) -> None:
        """Release the lock; harmless when it is not held. Never fails: closing its file releases the lock, too."""
        self._release_file()
        self._folder.release()

    def _release_file(self) -> None:
        with self._mutex:
            if self.held:
                fd, self._fd, self._identity = self._fd, -1, None
                try:
                    self._file.release(force=True)
                except OSError:
                    self._close(fd)

    def _close(self, fd: int) -> None:
        """Close the file that filelock keeps open after a failed unlock."""
        self._give_away()
        with contextlib.suppress(OSError):
            os.close(fd)

    def _give_away(self) -> int:
        """Make filelock forget the descriptor, which is the caller's from now on. The lock is held until it is closed.

        Returns: the descriptor.
        """
        fd, self._file._context.lock_file_fd = self._fd, None
        with contextlib.suppress(OSError):
            self._file.release(force=True)
        return fd

    def unlink_and_release(self) -> None:
        """Remove the lock file, as the last act while holding it: then nobody else can hold it under this name."""
        if self.held:
            fs.unlink(self.path)
        self.release()


def read_lock_info(path: Path) -> LockInfo | None:
    """What the lock file at `path` says, without taking the lock; None when it says nothing that luci understands."""
    try:
        with open(path, "rb", opener=_open) as file:
            return LockInfo.from_bytes(file.read(_TEXT_MAX))
    except OSError:
        return None


def _open(path: str | Path, flags: int = os.O_RDONLY | os.O_CLOEXEC) -> int:
    """Open for reading, without waiting for a writer if the path is a pipe. Raises: OSError."""
    return os.open(path, flags | os.O_NONBLOCK)


def is_held(path: Path) -> bool:
    """Whether any process holds the lock file, or the folder, at `path`.

    The holder is not disturbed. A free lock is taken for an instant: shared, so that others can look at the same time,
    and through a descriptor for reading, so that users without write permission can look, too.
    """
    try:
        return is_taken(_open(path))
    except OSError:
        return False


@contextlib.contextmanager
def file_lock(path: Path, token: CancelToken | None = None) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs, waiting for it as long as it takes.

    Raises: StorageError; Interrupted, if it is not free and the token is cancelled.
    """
    lock = Lock(path)
    while not lock.try_acquire():
        if token:
            token.check()
        time.sleep(_FILE_POLL_S)
    try:
        yield
    finally:
        lock.release()
