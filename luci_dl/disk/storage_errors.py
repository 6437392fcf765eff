"""System errors as `StorageError`s: what failed, the system's reason, and what the user can do about it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from luci_dl.disk.attributes import attribute_error
from luci_dl.disk.filesystems import file_system
from luci_dl.errors import REFUSAL_HINTS, CannotHold, Lack, NoRoom, StorageError
from luci_dl.names import STAGING_SUFFIXES, windows_problem
from luci_dl.text import human_size

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_ROOM_HINT = "Free some space (luci clean, luci list), or install into another folder with --dir."
_OWNER_HINT = "Check who owns the folder, or choose another one with --dir."
_UNABLE_HINT = "Its file system or server does not support {}: choose a folder on another one with --dir."
_FAILING_HINT = (
    "The disk or its connection is failing: look at the system's log (dmesg), or use another disk with --dir."
)
_GONE_HINT = "Its disk or server is gone: mount it again, or choose another folder with --dir."
_WRONG_KIND_HINT = "A {} stands where a {} should be: move it away, or choose another folder with --dir."
_CANNOT_HOLD = {errno.EFBIG, errno.EROFS, errno.EXDEV, errno.ENAMETOOLONG}
_HINTS = {
    errno.EACCES: _OWNER_HINT,
    errno.EPERM: _OWNER_HINT,
    errno.EROFS: "The file system is mounted read-only: mount it writable, or choose another folder with --dir.",
    errno.ENOTDIR: _WRONG_KIND_HINT.format("file", "folder"),
    errno.EISDIR: _WRONG_KIND_HINT.format("folder", "file"),
    errno.ELOOP: "Symlinks lead in a circle: remove them, or choose another folder with --dir.",
    errno.ENOENT: "It was deleted, or the system makes no files there: try again, or choose another folder with --dir.",
    errno.EEXIST: "Something else has that name (a dangling symlink?): move it away, or choose another folder "
    "with --dir.",
    **REFUSAL_HINTS,
    errno.EFBIG: "The file system (FAT32?) or a limit does not allow files of that size: choose another folder "
    "with --dir.",
    errno.EXDEV: "The two are on different disks: choose a folder on a single one with --dir.",
    errno.ENAMETOOLONG: "Choose a folder with a shorter path with --dir, or give a shorter name with -o.",
    errno.EBUSY: "The system uses it (a mount point?): unmount it, or choose another folder with --dir.",
    errno.ETXTBSY: "A program runs it: end that first.",
    errno.ENOLCK: _UNABLE_HINT.format("locks"),
    **dict.fromkeys((errno.ENOSYS, errno.ENOTSUP, errno.EINVAL), _UNABLE_HINT.format("that")),
    **dict.fromkeys((errno.EIO, errno.EILSEQ, errno.EBADMSG), _FAILING_HINT),
    **dict.fromkeys(
        (errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ESHUTDOWN),
        _GONE_HINT,
    ),
}
_LACKS: dict[Lack, tuple[str, str]] = {
    "space": ("", NO_ROOM_HINT),
    "quota": (
        "your quota on {} allows no more",
        "Free some of your space there (luci clean, luci list), or install into a folder on another disk with --dir.",
    ),
    "inodes": (
        "no inodes are left on {}",
        "It can hold no more files, of any size: delete some, or install into a folder on another disk with --dir.",
    ),
}
"""By what is used up: words that replace the system's reason if that is not clear, and the hint."""


class _StorageErrors:
    """Raises: StorageError, in place of any OSError of the block: "cannot DOING PATH: the system's reason".

    It is around every call of the system, so it is no generator, which would take three times as long.
    """

    __slots__ = ("_doing", "_path")

    def __init__(self, doing: str, path: Path | str) -> None:
        self._doing = doing
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise storage_error(self._doing, self._path, error) from error


storage_errors = _StorageErrors


@contextlib.contextmanager
def advice(hint: str, kind: type[StorageError] = StorageError) -> Iterator[None]:
    """Gives every error of that kind of the block this hint, where the block is about no models folder."""
    try:
        yield
    except kind as error:
        error.hint = hint
        raise


def storage_error(doing: str, path: Path | str, error: OSError) -> StorageError:
    """The error to raise for `error`; NoRoom or CannotHold where another folder may help."""
    translated = _translated(f"cannot {doing} {path}", Path(path), error.errno or 0, error.strerror or str(error))
    translated.__cause__ = error
    return translated


def _translated(what: str, path: Path, code: int, reason: str) -> StorageError:
    if code in NO_ROOM:
        lack: Lack = "quota" if code == errno.EDQUOT else "inodes" if has_no_inodes(path) else "space"
        (meaning, hint), on = _LACKS[lack], file_system(path)
        described = meaning.format(on.mounted_at if on else "this file system") or reason
        return NoRoom(f"{what}: {described}", hint, reason, lack=lack)
    if code == errno.EINVAL and (problem := windows_problem(path.name)):
        return name_refused(path, problem, reason)
    if code == errno.EPERM and (refused := attribute_error(what, path, path, path.parent)):
        return refused
    kind = CannotHold if code in _CANNOT_HOLD else StorageError
    return kind(f"{what}: {reason}", _HINTS.get(code, ""), reason)


def has_no_inodes(path: Path) -> bool:
    """Whether the file system of `path`, which need not exist, has bytes left but can hold no further file."""
    for existing in (path, *path.parents):
        with contextlib.suppress(OSError):
            info = os.statvfs(existing)
            return info.f_files > 0 == info.f_favail and info.f_bavail > 0
    return False


def name_refused(path: Path, problem: str, reason: str = "") -> CannotHold:
    """The error for a name that the file system does not allow, of a target or of one of its staging files.

    Args:
        problem: continues a sentence.
    """
    name = path.stem if path.suffix in STAGING_SUFFIXES else path.name
    return CannotHold(
        f'the file system of {path.parent} does not allow the name "{name}": {problem}',
        "Give another name with -o, or choose a folder on another disk with --dir.",
        reason or os.strerror(errno.EINVAL),
    )


def no_room(what: str, needed: int | None, free: int, min_free: int = 0, *, hint: str = "", **more: Any) -> NoRoom:
    """The error for what does not fit on the disk, with figures.

    Args:
        what: "NAME", or "NAME in FOLDER".
        needed, free, min_free, more: as `room_figures`.
    """
    message = f"no room for {what}: {room_figures(needed, free, min_free, **more)}"
    return NoRoom(message, hint or NO_ROOM_HINT, os.strerror(errno.ENOSPC), has_figures=True)


def room_figures(
    needed: int | None, free: int, min_free: int = 0, *, at_least: bool = False, other_downloads: int = 0
) -> str:
    """What is needed and what is free, in words: "5.2GB needed, 3.1GB free, and 1.0GB must stay free (...)".

    Args:
        needed, free: bytes; needed is None where it is not known.
        min_free: bytes that must stay free.
        at_least: more may be needed.
        other_downloads: bytes of those free that other downloads will use.
    """
    parts = []
    if needed is not None:
        parts.append(f"{'at least ' if at_least else ''}{human_size(needed)} needed")
    parts.append(f"{human_size(free)} free")
    if other_downloads:
        parts.append(f"of which other downloads need {human_size(other_downloads)}")
    if min_free:
        parts.append(f"and {human_size(min_free)} must stay free (min_free in config.json)")
    return ", ".join(parts)
