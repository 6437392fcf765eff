"""The calls that change folders, one function each. `fs` offers them, too.

Every `OSError` leaves here as a `StorageError`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from luci_dl.disk.storage_errors import storage_errors
from luci_dl.errors import StorageError

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def make_folder(path: Path) -> list[Path]:
    """Make `path` and its missing parents, durably. Returns: those that were made, outermost first.

    Raises: StorageError; then none of them is left.
    """
    made: list[Path] = []
    refused: Path | None = None
    if os.path.isdir(path):
        return made
    try:
        while folder := _first_missing(path):
            with storage_errors("make the folder", folder):
                try:
                    os.mkdir(folder)
                except FileExistsError:
                    if os.path.lexists(folder) and not folder.is_dir():  # a file, or a dangling symlink
                        raise
                except FileNotFoundError:
                    if folder == refused and folder.parent.is_dir():
                        raise
                    refused = folder  # once may mean that `clean` removed the empty parent in between
                else:
                    made.append(folder)
                    share_with_group(folder, folder.parent, stat.S_IRWXG)
                    sync_folder(folder.parent)
    except StorageError:
        for folder in reversed(made):
            remove_empty(folder)
        raise
    return made


def _first_missing(path: Path) -> Path | None:
    with storage_errors("look at", path):
        return next((folder for folder in [*reversed(path.parents), path] if not folder.is_dir()), None)


def share_with_group(new: Path | int, folder: Path, bits: int) -> None:
    """In a folder that a group shares (setgid and group-writable), give the group access to what is new there.

    Args:
        new: what was made there, or its descriptor; bits: the permissions of the group, whatever the umask.
    """
    shared = stat.S_ISGID | stat.S_IWGRP
    with contextlib.suppress(OSError):
        if os.stat(folder).st_mode & shared == shared:
            os.chmod(new, stat.S_IMODE(os.stat(new).st_mode) | bits)


def sync_folder(path: Path) -> str:
    """Make the names in the folder survive a crash.

    Returns: why the system cannot be asked to; empty when it has done it. Raises: StorageError, when it failed.
    """
    with storage_errors("sync the folder", path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        except PermissionError:
            return "it may not be opened for reading"
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
            return "its file system does not support that"
        finally:
            os.close(fd)
    return ""


def remove_empty(folder: Path) -> bool:
    """Remove the folder if it is empty; False when it stays."""
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True
