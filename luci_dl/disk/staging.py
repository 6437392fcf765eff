"""Where the files of one target lie, and the lock that says whose they are. Every path of luci is made here."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from luci_dl.disk import fs
from luci_dl.disk.holder import Holder
from luci_dl.errors import StorageError, UsageError
from luci_dl.names import check_name

FOLDER = ".luci"
_LOCK_MODE = 0o664  # several users of one group may share a models folder
_ROOM = 12  # bytes that the longest suffix and the ".new" of its replacement need
_NAME_MAX = 255
_TEXT_MAX = 1 << 16  # bytes of a lock file that are read


@dataclass(frozen=True)
class Staging:
    """The paths of one target.

    Attributes:
        folder: the models folder.
        name: the target's path below it, with "/" between its parts; None for files whose target is not known.
        target: where the file will stand.
        base: what all staging files of the target begin with.
        own: what those of one process alone begin with, where no lock keeps others from them (`apart`).
    """

    folder: Path
    name: str | None
    target: Path
    base: Path
    own: Path | None = None

    def apart(self, mark: str) -> Staging:
        """With a part and a journal whose names end in `mark`."""
        room = _name_max(self.folder) - _ROOM - len(mark)
        return replace(self, own=self.base.with_name(_shortened(self.base.name, room) + mark))

    @property
    def lock(self) -> Path:
        return self._path(".lock")

    @property
    def part(self) -> Path:
        return self._own_path(".part")

    @property
    def journal(self) -> Path:
        return self._own_path(".journal")

    @property
    def receipt(self) -> Path:
        return self._path(".receipt")

    @property
    def new_receipt(self) -> Path:
        """Where a receipt is written before it takes the place of the old one."""
        return self._own_path(".receipt.new")

    @property
    def commit(self) -> Path:
        return self._path(".commit")

    def _own_path(self, suffix: str) -> Path:
        base = self.own or self.base
        return base.with_name(base.name + suffix)

    def _path(self, suffix: str) -> Path:
        return self.base.with_name(self.base.name + suffix)


def staging_for(folder: Path, name: str) -> Staging:
    """The paths of the target `name` below the models folder; touches nothing.

    Raises: UsageError, for a name that would leave the folder or that the file system cannot hold; StorageError, when
        a folder on the way leads out of the models folder.
    """
    check_name(name)
    folder = folder.absolute()
    target = folder / name
    longest = _name_max(folder)
    for part in name.split("/"):
        if len(os.fsencode(part)) > longest:
            raise UsageError(
                f"the file name {part[:40]}... is too long: {len(os.fsencode(part))} bytes, "
                f"the file system takes {longest}",
                "Give a shorter one with -o.",
            )
    base = folder / FOLDER / name
    real = os.path.realpath(folder)
    for parent in (target.parent, base.parent):
        if not Path(os.path.realpath(parent)).is_relative_to(real):
            raise StorageError(f"{parent} leads out of the models folder {folder}", "Remove the symlink there.")
    return Staging(folder, name, target, base.with_name(_shortened(base.name, longest - _ROOM)))


def staging_at(folder: Path, base: Path, name: str | None) -> Staging:
    """The paths of staging files that were found on disk; `name` is what one of them says of its target."""
    if name is not None:
        with contextlib.suppress(UsageError, StorageError):
            expected = staging_for(folder, name)
            if expected.base == base:
                return expected
    return Staging(folder, None, folder / base.relative_to(folder / FOLDER), base)


def in_lock_order(stagings: Iterable[Staging]) -> list[Staging]:
    """The one order in which every process takes several locks, so that no two wait for each other."""
    return sorted(stagings, key=lambda staging: os.fsencode(staging.lock))


def _name_max(folder: Path) -> int:
    for existing in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return os.pathconf(existing, "PC_NAME_MAX")
    return _NAME_MAX


def _shortened(name: str, room: int) -> str:
    """`name`, or as much of its beginning as fits into `room` bytes beside a hash of the whole."""
    raw = os.fsencode(name)
    if len(raw) <= room:
        return name
    mark = "~" + hashlib.sha256(raw).hexdigest()[:16]
    return raw[: room - len(mark)].decode(errors="ignore") + mark


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

    def write(self, holder: Holder) -> None:
        """Say who holds the lock, if it is still held. A text that cannot be written is not worth an error."""
        with self._mutex:
            if self.held:
                with contextlib.suppress(OSError):
                    fs.overwrite(self._fd, holder.to_bytes())

    def read(self) -> Holder | None:
        """Who holds the lock, or held it last; None when the file does not say."""
        return read_holder(self.path)

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


def read_holder(path: Path) -> Holder | None:
    """What the lock file at `path` says, without taking the lock; None when it says nothing that luci knows."""
    try:
        with _opened(path) as file:
            return Holder.from_bytes(file.read(_TEXT_MAX))
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
    with fs.door("lock", path), FileLock(path, mode=_LOCK_MODE, fallback_to_soft=False, preserve_lock_file=True):
        yield
