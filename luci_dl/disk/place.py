"""Whether a finished file can be put at its target: asked before the first byte, not found out after the last.

`Places.check` changes nothing, and sees what a rehearsal cannot show; `rehearse` tries what only trying shows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from luci_dl.disk import fs, space
from luci_dl.disk.attributes import check_attributes
from luci_dl.disk.filesystems import FileSystem, file_system
from luci_dl.disk.layout import Staging
from luci_dl.disk.storage_errors import name_refused
from luci_dl.errors import CannotHold, NoRoom, StorageError
from luci_dl.names import windows_problem

_ELSEWHERE = "or choose another folder with --dir."
_CAP_FOWNER = 3  # <linux/capability.h>


class Places:
    """Checks where the files of a model go. What is true of a whole folder is found out once."""

    def __init__(self) -> None:
        self._checked: set[tuple[Path, Path]] = set()
        self._rehearsed: set[tuple[Path, Path, str]] = set()
        self._file_systems: dict[Path, FileSystem | None] = {}

    def check(self, staging: Staging, size: int | None = None) -> None:
        """Check that a finished part could be renamed to the target. Changes nothing.

        Args:
            size: of the file in bytes; None where it is not known.

        Raises: CannotHold.
        """
        check_names(self._file_system(staging.folder), staging.folder, [str(staging.name)])
        space.check_limit(staging.target.name, size or 0, self._file_system(staging.target.parent))
        folders = staging.target.parent, staging.base.parent
        if folders not in self._checked:
            self._check_folders(*map(existing, folders))
            self._checked.add(folders)
        for old in (staging.target, staging.receipt):
            check_deletable(old, "replace")

    def _check_folders(self, folder: Path, staged: Path) -> None:
        for each in (folder, staged):
            _check_writable(each)
        if device_of(folder) != device_of(staged) or self._file_system(folder) != self._file_system(staged):
            raise CannotHold(
                f"{folder} is on another disk than {staged}, from where a finished file could not be moved there",
                f"Install into that disk directly: --dir {folder}, {_ELSEWHERE}",
            )

    def _file_system(self, folder: Path) -> FileSystem | None:
        if folder not in self._file_systems:
            self._file_systems[folder] = file_system(folder)
        return self._file_systems[folder]

    def rehearse(self, staging: Staging) -> None:
        """Move an empty file from the staging to where the target goes. Under the lock of the target.

        Once for all names with the same end: a file system may refuse a last character. Raises: CannotHold;
        StorageError.
        """
        key = staging.target.parent, staging.base.parent, staging.target.name[-1]
        if key not in self._rehearsed:
            rehearse(staging)
            self._rehearsed.add(key)


def rehearse(staging: Staging) -> None:
    """Move an empty file from the staging to where the target goes, and delete it. Under the lock of the target.

    What a kill leaves is removed by the next rehearsal, or by `clean`. Raises: CannotHold; StorageError.
    """
    new, there = staging.new_receipt, staging.rehearsal_in(existing(staging.target.parent))
    fs.unlink(new)
    try:
        fs.create(new)
        fs.rename(new, there)
    except NoRoom:
        raise
    except StorageError as error:
        if problem := error.reason == os.strerror(errno.EINVAL) and windows_problem(staging.target.name):
            raise name_refused(staging.target, problem) from error
        what = f"a finished file could not be moved from {new.parent} to {there.parent}: {error.reason}"
        raise CannotHold(what, error.hint, error.reason) from error
    finally:
        fs.unlink(there)
        fs.unlink(new)


def can_link(staging: Staging, path: Path) -> bool:
    """Whether the file at `path` can get a second name where the target goes. Under the lock of the target.

    What a kill leaves is removed as after `rehearse`. Raises: StorageError.
    """
    there = staging.rehearsal_in(existing(staging.target.parent))
    fs.unlink(there)
    try:
        if not fs.is_own(path):
            return False
        fs.hard_link(path, there)
    except StorageError:
        return False
    finally:
        fs.unlink(there)
    return True


def check_names(on: FileSystem | None, folder: Path, names: Iterable[str]) -> None:
    """Check the targets' names against what is known of the folder's file system. Raises: CannotHold."""
    for part in (part for name in names for part in name.split("/")):
        if on and (problem := on.problem_with(part)):
            raise name_refused(folder / part, problem)


def existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next((path for path in (folder, *folder.parents) if os.path.isdir(path)), folder)


def device_of(path: Path) -> int:
    """The number of the disk that the path, or its nearest folder that exists, is on. Raises: StorageError."""
    there = next((each for each in (path, *path.parents) if os.path.exists(each)), path)
    with fs.storage_errors("look at", there):
        return os.stat(there).st_dev


def _check_writable(folder: Path) -> None:
    try:
        fs.check_writable(folder)
    except StorageError as error:
        raise CannotHold(error.message, error.hint, error.reason) from error


def check_deletable(path: Path, doing: str = "delete") -> None:
    """Raises: CannotHold, when there is a file that may not be deleted, or not be replaced: "cannot DOING PATH"."""
    folder = path.parent
    try:
        info, above = os.lstat(path), os.stat(folder)
    except OSError:  # there is none, or another check says why it cannot be seen
        return
    if above.st_mode & stat.S_ISVTX and not ({os.geteuid()} & {info.st_uid, above.st_uid} or _may_act_for_owners()):
        raise CannotHold(
            f"{path} belongs to {fs.owner_of(path)}, and {folder} lets only the owner of a file {doing} it (sticky)",
            f"Ask {fs.owner_of(path)} to remove it, {_ELSEWHERE}",
        )
    if stat.S_ISREG(info.st_mode):
        check_attributes(path, doing)
        on = file_system(path)
        if on and on.mounted_at == os.path.join(os.path.realpath(folder), path.name):
            raise CannotHold(f"cannot {doing} {path}: it is a mount point", f"Unmount it, {_ELSEWHERE}")


def _may_act_for_owners() -> bool:
    """Whether this process may do what is reserved to the owners of files."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "CapEff":
                return bool(int(value, 16) >> _CAP_FOWNER & 1)
    return os.geteuid() == 0
