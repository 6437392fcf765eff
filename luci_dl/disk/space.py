"""Room on the disk, claimed before the first byte so that two downloads cannot both count on the same free space."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from luci_dl.disk import fs, lock_reliability
from luci_dl.disk.filesystems import SMALL_FILE, FileSystem, file_system
from luci_dl.disk.guarded_file import GuardedFile
from luci_dl.disk.layout import LOCK, PART, Staging, walk_staging
from luci_dl.disk.lock import is_held
from luci_dl.disk.storage_errors import NO_ROOM, no_room, storage_error
from luci_dl.errors import CannotHold
from luci_dl.text import human_size

_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_SAYS_NOTHING = {*_UNSUPPORTED, errno.EIO, errno.EOVERFLOW, errno.EPERM}
"""Errors of `statvfs` that only mean that there are no figures. Others are about the path itself."""
_PAUSES_S = (0.05, 0.1, 0.2, 0.4, None)
"""How long to wait at most before each further attempt to claim room."""


def free_bytes(folder: Path) -> int | None:
    """Bytes that this user can still write to the file system of `folder`; None where the system does not say."""
    with fs.storage_errors("ask the free space of", folder):
        try:
            info = os.statvfs(folder)
        except OSError as error:
            if error.errno in _SAYS_NOTHING:
                return None
            raise
    block = info.f_frsize or info.f_bsize
    return min(info.f_bavail, info.f_bfree) * block if info.f_blocks and block else None


def claim(file: GuardedFile, size: int, min_free: int, promised: Callable[[], int] = lambda: 0) -> bool:
    """Claim room for `size` bytes in the open part, and keep `min_free` bytes of the disk free beside it.

    Claims first, then measures: if two downloads both measured first, both would count the same free bytes. Where both
    give back what they claimed though one would have fitted, they try again, each after a random delay.

    Args:
        promised: bytes that others will write whose blocks are not claimed.

    Returns: whether the blocks are claimed. Where the file system cannot, the length is set and the free space has to
        be watched (`watch`) while the part is filled.
    Raises: NoRoom, with what was needed and what is free; CannotHold; StorageError. What was claimed is given back.
        Revoked, when the part was closed meanwhile: then nothing of it is changed, given back or not.
    """
    if size == 0:
        return True
    folder, on, kept = file.path.parent, file_system(file.path.parent), file.size
    check_limit(_name(file.path), size, on)
    for pause in _PAUSES_S:
        try:
            return _claim(file, size, kept, min_free, promised, on)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise storage_error(f"claim {human_size(size)} for", file.path, error) from error
            free, others = free_bytes(folder), promised()
            if free is not None and free - others < size - _blocks(file) + min_free:
                raise no_room(_name(file.path), size, free, min_free, other_downloads=others) from error
            if pause is None:  # what the system says is free does not explain it
                raise storage_error(f"claim {human_size(size)} for", file.path, error) from error
        time.sleep(random.uniform(0, pause))
    raise AssertionError("the last pause is None")


def check_limit(name: str, size: int, on: FileSystem | None) -> None:
    """Raises: CannotHold, when no file on that file system may be so long."""
    if on and on.holds_small_files_only and size > SMALL_FILE:
        raise CannotHold(
            f"{name} has {human_size(size)}, and no file on {on.mounted_at} ({on.kind}) may have more than 4 GiB",
            "Install into a folder on another disk with --dir, or format that one as exFAT.",
            os.strerror(errno.EFBIG),
        )


def watch(path: Path, lacking: int | None, min_free: int) -> None:
    """Raises: NoRoom, when less than `min_free` bytes are left; `lacking` bytes are still needed."""
    free = free_bytes(path.parent)
    if free is not None and free < min_free:
        raise no_room(_name(path), lacking, free, min_free)


def promised(staging: Staging) -> int:
    """Bytes that the other parts below the models folder still need, where no blocks are claimed for them.

    A part whose room could not be claimed has its full length from the beginning, which is more reliable than the text
    of its lock. Parts without an active download are not counted.
    """
    others = 0
    paths, _ = walk_staging(staging.folder, lambda _folder, _error: None)
    for path in (path for path in paths if path.name.endswith(PART)):
        if path != staging.part and (lacking := _lacking(path)) > 0 and _is_at_work(path):
            others += lacking
    return others


def _is_at_work(part: Path) -> bool:
    """Whether a process is working on this part."""
    owner = lock_reliability.owner_of(part.stem)
    return owner.may_be_running(lock_reliability.last_write(part)) if owner else is_held(part.with_suffix(LOCK))


def _lacking(path: Path) -> int:
    try:
        info = os.lstat(path)
    except OSError:  # gone just now
        return 0
    return info.st_size - info.st_blocks * 512


def _claim(
    file: GuardedFile, size: int, kept: int, min_free: int, promised: Callable[[], int], on: FileSystem | None
) -> bool:
    """Whether blocks are claimed. Raises: OSError, when they cannot be; then the length is back at `kept`."""
    claimed, fits, owned = True, False, _blocks(file)
    has_holes = not (on and on.holds_small_files_only)  # else a length that is set would be written, byte by byte
    try:
        try:
            file.allocate(size, grow=has_holes)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            claimed = False
            if has_holes:
                file.set_length(size)
        free = free_bytes(file.path.parent)
        fits = free is None or free - promised() >= min_free + (0 if claimed else size - owned)
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return claimed
    finally:
        if not fits:
            file.set_length(kept)


def _blocks(file: GuardedFile) -> int:
    return file.raw.info.st_blocks * 512


def _name(path: Path) -> str:
    """Of the file that will be made of the part."""
    return lock_reliability.without_mark(path.stem)
