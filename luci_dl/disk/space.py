"""Room on the disk: claimed before the first byte, so that two downloads cannot promise themselves the same."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.errors import StorageError
from luci_dl.text import human_size

_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def free_bytes(folder: Path) -> int:
    """Bytes that this user can still write to the file system of `folder`."""
    with fs.door("ask the free space of", folder):
        info = os.statvfs(folder)
    return info.f_bavail * info.f_frsize


def claim(file: fs.File, size: int, min_free: int) -> bool:
    """Claim room for `size` bytes in the open part, and keep `min_free` bytes of the disk free beside it.

    Claims first and measures then: of two that measure first, both would find the same gigabytes.

    Returns: whether the blocks are claimed. Where the file system cannot, the length is set and the free space has to
        be watched (`watch`) while the part is filled.
    Raises: StorageError, with what was needed and what is free; what had been claimed is given back.
    """
    if size == 0:
        return True
    owned = os.fstat(file.fd).st_blocks * 512
    claimed = True
    try:
        fs.allocate(file, size)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            fs.set_length(file, 0)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room(file.path, size, free_bytes(file.path.parent), min_free) from error
            with fs.door("claim the space of", file.path):
                raise
        claimed = False
        fs.set_length(file, size)
    free = free_bytes(file.path.parent)
    wanted = min_free if claimed else min_free + size - owned
    if free < wanted:
        fs.set_length(file, 0)
        raise _no_room(file.path, size, free_bytes(file.path.parent), min_free)
    return claimed


def watch(path: Path, min_free: int) -> None:
    """Raises: StorageError, when less than `min_free` bytes are left."""
    free = free_bytes(path.parent)
    if free < min_free:
        raise _no_room(path, None, free, min_free)


def _no_room(path: Path, size: int | None, free: int, min_free: int) -> StorageError:
    name = path.name.removesuffix(".part")
    needed = "more room" if size is None else human_size(size)
    reserve = f", and {human_size(min_free)} must stay free (min_free in config.json)" if min_free else ""
    return StorageError(
        f"no room for {name}: it needs {needed}, {human_size(free)} are free{reserve}",
        "Free some space (luci clean, luci list), or install into another folder with --dir.",
        os.strerror(errno.ENOSPC),
    )
