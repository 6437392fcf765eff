"""The calls that change the disk, one thin function each. Their order, made by the callers, is luci's promise.

Every `OSError` leaves here as a `StorageError`. Linux and macOS; the macOS lines are untested.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from luci_dl.disk.filesystems import file_system
from luci_dl.errors import CannotHold, LuciError, NoRoom, StorageError
from luci_dl.plan import PAGE

_MACOS = sys.platform == "darwin"
_F_PREALLOCATE, _F_ALLOCATEALL, _F_PEOFPOSMODE, _F_FULLFSYNC = 42, 4, 3, 51  # <sys/fcntl.h> of macOS
_LARGE = 1 << 20  # smaller ones are better collected in the cache
_FICLONE = 0x40049409  # <linux/fs.h>
_FALLOC_FL_KEEP_SIZE = 1  # <linux/falloc.h>
_KINDS = {errno.ENOSPC: NoRoom, errno.EDQUOT: NoRoom, errno.EFBIG: CannotHold}
_HINTS = {
    errno.ENOSPC: "Free some space (luci clean, luci list), or install into another folder with --dir.",
    errno.EDQUOT: "Your disk quota is used up: free some space, or install into another folder with --dir.",
    errno.EACCES: "Check who owns the folder, or choose another one with --dir.",
    errno.EPERM: "Check who owns the folder, or choose another one with --dir.",
    errno.EROFS: "The file system is mounted read-only: choose another folder with --dir.",
    errno.ENOTDIR: "A file stands where a folder should be: move it away, or choose another folder with --dir.",
    errno.EEXIST: "Something else has that name (a symlink that leads nowhere?): move it away, or choose another one "
    "with --dir.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or install fewer at a time.",
    errno.EFBIG: "The file system (FAT32?) or a limit does not allow files of that size: choose another with --dir.",
}


@contextlib.contextmanager
def storage_errors(doing: str, path: Path | str) -> Iterator[None]:
    """Raises: StorageError, in place of any OSError of the block: "cannot DOING PATH: the system's words"."""
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        reason = os.strerror(code) if code else str(error)
        raise _KINDS.get(code, StorageError)(
            f"cannot {doing} {path}: {reason}", _HINTS.get(code, ""), reason
        ) from error


def allow_files(count: int) -> None:
    """Let this process have so many files open at once, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def make_folder(path: Path) -> list[Path]:
    """Make `path` and its parents, durably; the folders that were not there before, outermost first."""
    made: list[Path] = []
    refused: Path | None = None
    while folder := _first_missing(path):
        with storage_errors("make the folder", folder):
            try:
                os.mkdir(folder)
            except FileExistsError:
                if os.path.lexists(folder) and not folder.is_dir():  # a file, or a symlink that leads nowhere
                    raise
            except FileNotFoundError:
                if folder == refused and folder.parent.is_dir():
                    raise
                refused = folder  # once may mean that `clean` removed the empty parent in between
            else:
                _let_group(folder, folder.parent, stat.S_IRWXG)
                made.append(folder)
                sync_folder(folder.parent)
    return made


def _first_missing(path: Path) -> Path | None:
    with storage_errors("look at", path):
        return next((folder for folder in [*reversed(path.parents), path] if not folder.is_dir()), None)


def check_writable(folder: Path) -> None:
    """Raises: StorageError, when names cannot be made in the folder, or, where it is missing, in the one above."""
    there = next((path for path in (folder, *folder.parents) if os.path.isdir(path)), folder)
    with storage_errors("write into", there):
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if not os.access(there, os.W_OK | os.X_OK):
        reason = os.strerror(errno.EACCES)
        hint = f"It belongs to {_owner_of(there)}: ask for the right to write, or choose another folder with --dir."
        raise StorageError(f"cannot write into {there}: {reason}", hint, reason)


def _owner_of(path: Path) -> str:
    import pwd

    try:
        owner = path.stat().st_uid
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"
    except OSError:
        return "somebody else"


def _let_group(new: Path | int, folder: Path, bits: int) -> None:
    """In a folder that a group shares (setgid, writable to it) what is new is the group's, whatever the umask.

    Args:
        new: what was made there, or its descriptor; bits: what its group may do.
    """
    shared = stat.S_ISGID | stat.S_IWGRP
    with contextlib.suppress(OSError):
        if os.stat(folder).st_mode & shared == shared:
            os.chmod(new, stat.S_IMODE(os.stat(new).st_mode) | bits)


class File:
    """An open file. It closes when nobody refers to it any more: a thread that still writes keeps its own number."""

    __slots__ = ("_direct", "fd", "path")

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self.path = path
        self._direct: int | None = None  # the same file, opened to write past the cache; -1 where that is not to be had

    def __del__(self) -> None:
        os.close(self.fd)
        if self._direct is not None and self._direct >= 0:
            os.close(self._direct)

    def direct(self) -> int | None:
        """A descriptor that writes past the system's cache; None where that does not pay."""
        if self._direct is None:
            self._direct = _open_direct(self)
        return self._direct if self._direct >= 0 else None

    def stop_direct(self) -> None:
        """It turned out not to work here."""
        if self._direct is not None and self._direct >= 0:
            os.close(self._direct)
        self._direct = -1

    @property
    def inode(self) -> int:
        return os.fstat(self.fd).st_ino

    @property
    def size(self) -> int:
        return os.fstat(self.fd).st_size

    @property
    def mtime_ns(self) -> int:
        return os.fstat(self.fd).st_mtime_ns


def create(path: Path) -> File:
    """A new empty file, open for reading and writing; never through a symlink, never one that is there."""
    with storage_errors("create", path):
        file = File(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), path)
    _let_group(file.fd, path.parent, stat.S_IRGRP | stat.S_IWGRP)
    return file


def open_own(path: Path) -> File | None:
    """The file that luci made at `path`, open for reading and writing; None when there is none.

    Raises: StorageError, when something else (a symlink, a folder, a device) was put there.
    """
    if not is_own(path):
        return None
    with storage_errors("open", path):
        return File(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), path)


def open_to_read(path: Path) -> File:
    """The file at `path`, whoever made it."""
    with storage_errors("read", path):
        return File(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path)


def is_own(path: Path) -> bool:
    """True when a plain file is there, False when nothing is.

    Raises: StorageError, when something else (a symlink, a folder, a device) was put there.
    """
    return blocks_of(path) is not None


def blocks_of(path: Path) -> int | None:
    """Bytes on disk of luci's own file at `path`; None when there is none. Raises: StorageError, as `is_own`."""
    with storage_errors("look at", path):
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return None
    if not stat.S_ISREG(info.st_mode):
        kind = {stat.S_IFLNK: "a symlink", stat.S_IFDIR: "a folder"}.get(stat.S_IFMT(info.st_mode), "not a plain file")
        message = f"{path} is {kind}, where luci keeps a file of its own"
        raise StorageError(message, "Move it away and try again.", f"it is {kind}")
    return info.st_blocks * 512


def inode_of(path: Path) -> int | None:
    """The inode that the name leads to now; None when there is none."""
    with storage_errors("look at", path):
        try:
            return os.lstat(path).st_ino
        except FileNotFoundError:
            return None


def write_at(file: File, data: bytes | memoryview, offset: int, *, past_cache: bool = False) -> None:
    """Write all of `data` at `offset`.

    `past_cache`: nobody will read it soon. Large blocks of whole pages go to the disk without a copy then, which is
    several times cheaper and leaves others their cache.
    """
    with storage_errors("write", file.path):
        direct = past_cache and len(data) >= _LARGE and not (offset | len(data)) % PAGE
        done = _write_direct(file, data, offset) if direct else 0
        while done < len(data):
            done += os.pwrite(file.fd, memoryview(data)[done:], offset + done)


def _write_direct(file: File, data: bytes | memoryview, offset: int) -> int:
    """Bytes written; what is left is for the ordinary way."""
    fd = file.direct()
    if fd is None:
        return 0
    try:
        return os.pwrite(fd, data, offset)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        file.stop_direct()  # the file system, or the device below it, wants it otherwise
        return 0


def _open_direct(file: File) -> int:
    """The open file once more, for writing past the cache; -1 where that is not known to pay."""
    on = file_system(file.path)
    if on is None or not on.writes_past_cache:
        return -1
    try:
        return os.open(f"/proc/self/fd/{file.fd}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return -1


def read_at(file: File, size: int, offset: int) -> bytes:
    """Up to `size` bytes from `offset`; fewer only at the end of the file."""
    with storage_errors("read", file.path):
        return os.pread(file.fd, size, offset)


def forget_cached(path: Path) -> None:
    """Whoever reads the file next gets what the disk has, as far as the system can be asked for that."""
    if hasattr(os, "posix_fadvise"):
        file = open_to_read(path)
        with storage_errors("read", path):
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)


def allocate(file: File, size: int, *, grow: bool = True) -> None:
    """Claim the blocks of the first `size` bytes, and make the file at least that long if it is to `grow`.

    Raises: OSError, as the system says it: ENOSPC, EFBIG, EOPNOTSUPP where the file system has no preallocation.
    May take long: keep it off the thread that answers signals.
    """
    if _MACOS:
        import fcntl
        import struct

        left = size - os.fstat(file.fd).st_size
        fcntl.fcntl(file.fd, _F_PREALLOCATE, struct.pack("=Iiqqq", _F_ALLOCATEALL, _F_PEOFPOSMODE, 0, left, 0))
        os.ftruncate(file.fd, size)
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if fallocate is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    while fallocate(file.fd, 0 if grow else _FALLOC_FL_KEEP_SIZE, 0, size) != 0:
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


def clone(source: File, file: File) -> bool:
    """Let `file` share all blocks of `source` until one of the two changes; False where that is not to be had.

    May take long: keep it off the thread that answers signals.
    """
    if _MACOS:
        return False
    import fcntl

    try:
        fcntl.ioctl(file.fd, _FICLONE, source.fd)
    except OSError:  # two file systems, or one that cannot; what is wrong with the disk, a copy will tell
        return False
    return True


def set_length(file: File, size: int) -> None:
    """Make the file `size` bytes long; what lay beyond is given back to the disk."""
    with storage_errors("set the length of", file.path):
        os.ftruncate(file.fd, size)


def release_blocks(file: File) -> None:
    """Give the blocks of a file that has lost its name back to the disk, though it is still open."""
    with storage_errors("free", file.path):
        if os.fstat(file.fd).st_nlink == 0:  # else somebody made a hard link to it
            os.ftruncate(file.fd, 0)


def sync_data(file: File) -> None:
    """What was written survives a crash of the system. Never retried: the kernel reports a failure once."""
    with storage_errors("sync", file.path):
        if _MACOS:
            import fcntl

            fcntl.fcntl(file.fd, _F_FULLFSYNC)
        else:
            os.fdatasync(file.fd)


def sync_folder(path: Path) -> None:
    """The names in the folder survive a crash of the system."""
    with storage_errors("sync the folder", path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            return  # it is gone, or we may write into it but not read it
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that sync names at once
                raise
        finally:
            os.close(fd)


def rename(old: Path, new: Path) -> None:
    """Put the file `old` in the place of `new`, at one stroke."""
    with storage_errors(f"rename to {new.name} the file", old):
        os.rename(old, new)


def unlink(path: Path) -> bool:
    """Remove the name; False when there was none."""
    with storage_errors("delete", path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
    return True


def remove_empty(folder: Path) -> bool:
    """Remove the folder if it is empty; False when it stays."""
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True


def append(path: Path, data: bytes) -> None:
    """Add to the file at `path`, which is for its owner alone where it is new."""
    with storage_errors("write", path):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)


def write_file(
    path: Path,
    data: bytes,
    *,
    keep_mode: bool = False,
    new: Path | None = None,
    renaming: contextlib.AbstractContextManager[object] | None = None,
) -> None:
    """Replace the file at `path` by `data`, at one stroke and durably.

    Args:
        new: what it is called until then, where it must not be another process's.
        keep_mode: a file of the user's own, which only they may read perhaps, keeps its mode.
        renaming: entered for the rename alone; what it raises leaves the old file in place.
    """
    new = new or path.with_name(path.name + ".new")
    unlink(new)
    try:
        file = create(new)
        if keep_mode and path.exists():
            with storage_errors("set the mode of", new):
                os.fchmod(file.fd, stat.S_IMODE(path.stat().st_mode))
        write_at(file, data, 0)
        sync_data(file)
        with renaming or contextlib.nullcontext():
            rename(new, path)
    except LuciError:
        with contextlib.suppress(StorageError):
            unlink(new)
        raise
    sync_folder(path.parent)


def overwrite(fd: int, data: bytes) -> None:
    """Replace what the open file says, in place: for the text of a lock file, that a torn write cannot hurt."""
    os.pwrite(fd, data, 0)
    os.ftruncate(fd, len(data))
