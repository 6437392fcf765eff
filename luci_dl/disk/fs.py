"""The calls that change the disk, one thin function each. Their order, made by the callers, is luci's promise.

Those that take a path are here; those on an open file are in `file`, those on folders in `folders`, and `fs` offers
them, too. Every `OSError` leaves here as a `StorageError`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from pathlib import Path

from luci_dl.disk.attributes import check_attributes
from luci_dl.disk.file import File, allocate, clone, read_at, read_into, release_blocks, set_length, sync_data, write_at
from luci_dl.disk.folders import make_folder, remove_empty, share_with_group, sync_folder
from luci_dl.disk.layout import NEW
from luci_dl.disk.storage_errors import NO_ROOM, storage_errors
from luci_dl.errors import LuciError, StorageError

__all__ = [
    "File", "allocate", "allow_files", "append", "blocks_of", "check_writable", "clone", "create", "forget_cached",
    "hard_link", "is_own", "make_folder", "open_own", "open_to_read", "overwrite", "owner_of", "read_at", "read_into",
    "read_own", "release_blocks", "remove_empty", "rename", "set_length", "storage_errors", "symlink", "sync_data",
    "sync_folder", "unlink", "write_at", "write_file",
]  # fmt: skip


def allow_files(count: int) -> None:
    """Raise the limit of open files of this process to `count`, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def check_writable(folder: Path) -> None:
    """Raises: StorageError, when no file can be made in the folder, or, where it is missing, in the one above it."""
    there = next((path for path in (folder, *folder.parents) if os.path.isdir(path)), folder)
    with storage_errors("write into", there):
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    check_attributes(there, "write into")
    if not os.access(there, os.W_OK | os.X_OK):
        reason = os.strerror(errno.EACCES)
        hint = f"It belongs to {owner_of(there)}: ask for write permission, or choose another folder with --dir."
        raise StorageError(f"cannot write into {there}: {reason}", hint, reason)


def owner_of(path: Path) -> str:
    """The name of the user to whom the file or folder at `path` belongs."""
    import pwd

    try:
        owner = path.lstat().st_uid
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"
    except OSError:
        return "another user"


def create(path: Path) -> File:
    """A new empty file, open for reading and writing. Follows no symlink and replaces no file."""
    with storage_errors("create", path):
        file = File(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), path)
    share_with_group(file.fd, path.parent, stat.S_IRGRP | stat.S_IWGRP)
    return file


def open_own(path: Path) -> File | None:
    """luci's own file at `path`, open for reading and writing; None when there is none. Raises: as `is_own`."""
    if not is_own(path):
        return None
    with storage_errors("open", path):
        return File(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), path)


def read_own(path: Path) -> bytes | None:
    """The content of luci's own file at `path`; None when there is none. Raises: as `is_own`."""
    if not is_own(path):
        return None
    with storage_errors("read", path):
        try:
            with open(path, "rb", buffering=0) as file:
                return file.readall()
        except FileNotFoundError:  # removed since
            return None


def open_to_read(path: Path) -> File:
    """The file at `path`, whether luci made it or not."""
    with storage_errors("read", path):
        return File(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path)


def is_own(path: Path) -> bool:
    """Whether luci's own file is at `path`.

    Raises: StorageError, when something else (a symlink, a folder, a device) is there.
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


def forget_cached(path: Path) -> None:
    """Drop the file from the page cache where the system supports that, so that the next read comes from the disk."""
    if hasattr(os, "posix_fadvise"):
        file = open_to_read(path)
        with storage_errors("read", path):
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)


def rename(old: Path, new: Path) -> None:
    """Rename the file `old` to `new`, atomically replacing what is there."""
    with storage_errors(f"rename to {new.name} the file", old):
        os.rename(old, new)


def hard_link(old: Path, new: Path) -> None:
    """Give the file `old` another name. Replaces nothing."""
    with storage_errors("make a hard link", new):
        os.link(old, new, follow_symlinks=False)


def symlink(text: str, new: Path) -> None:
    """A symlink that leads to `text`. Replaces nothing."""
    with storage_errors("make a symlink", new):
        os.symlink(text, new)


def unlink(path: Path) -> bool:
    """Remove the name; False when there was none."""
    with storage_errors("delete", path):
        try:
            _unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def _unlink(path: Path) -> None:
    """Raises: OSError."""
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _empty(path)
        os.unlink(path)


def _empty(path: Path) -> None:
    """Free the blocks of a file: where every change needs new ones (btrfs, ZFS), a full disk would refuse to delete it.

    A file that has another name stays as it is. Raises: OSError.
    """
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
            os.ftruncate(fd, 0)
            os.fsync(fd)
    finally:
        os.close(fd)


def append(path: Path, data: bytes) -> None:
    """Append to the file at `path`; a new one is readable by its owner only."""
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
    private: bool = False,
    new: Path | None = None,
    renaming: contextlib.AbstractContextManager[object] | None = None,
    sync: bool = True,
) -> File:
    """Replace the file at `path` by `data`, atomically and durably.

    Args:
        keep_mode: keep the mode of the old file; private: let only the owner read and write it.
        new: the name of the new file until the rename, where the default may be another process's.
        renaming: entered for the rename alone; what it raises leaves the old file in place.
        sync: if not, the caller syncs the file and its folder, with many others.

    Returns: the file, still open.
    """
    new = new or path.with_name(path.name + NEW)
    unlink(new)
    try:
        file = create(new)
        if private or (keep_mode and path.exists()):
            with storage_errors("set the mode of", new):
                os.fchmod(file.fd, 0o600 if private else stat.S_IMODE(path.stat().st_mode))
        write_at(file, data, 0)
        if sync:
            sync_data(file)
        with renaming or contextlib.nullcontext():
            rename(new, path)
    except LuciError:
        with contextlib.suppress(StorageError):
            unlink(new)
        raise
    if sync:
        sync_folder(path.parent)
    return file


def overwrite(fd: int, data: bytes) -> None:
    """Replace the contents of the open file in place: for lock files, whose text may be torn. Raises: OSError."""
    if os.pwrite(fd, data, 0) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(fd, len(data))
