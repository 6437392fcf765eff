"""The paths in a models folder, all made here: where a target is, and where luci keeps its own files of it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from luci_dl.disk.storage_errors import storage_error
from luci_dl.errors import CannotHold, StorageError, UsageError
from luci_dl.frozen import frozen
from luci_dl.names import MAX_BYTES, STAGING_SUFFIXES, check_name

PART, LOCK, JOURNAL, RECEIPT, COMMIT = STAGING_SUFFIXES
NEW = ".new"
"""The suffix of a file that is about to replace the one without it."""
REHEARSAL = ".luci-rehearsal-"
"""How the name of a rehearsal begins: an empty file that is moved to a target's folder to see whether that works."""
_FOLDER = ".luci"
_SUFFIX_MAX = max(map(len, STAGING_SUFFIXES)) + len(NEW)  # bytes
_MARK_MAX = 32  # bytes, of the mark of a process

OnError = Callable[[Path, StorageError], None]
"""Called with a folder or file that cannot be read, and the reason."""


@frozen
class Staging:
    """The paths of one target.

    Attributes:
        folder: the models folder.
        name: the target's path below it, with "/" between its parts; None for files whose target is not known.
        target: where the installed file will be.
        base: the common beginning of the paths of all staging files of the target.
        private_base: the same for those that only one process uses, because the lock may not keep others out.
    """

    folder: Path
    name: str | None
    target: Path
    base: Path
    private_base: Path | None = None

    def __hash__(self) -> int:
        return hash(str(self.base))  # that of a `Path` takes long, and there are hundreds of these

    def private(self, mark: str) -> Staging:
        """With a part, a journal and a new receipt of which the names end in `mark`, before the suffix."""
        room = _name_max(self.folder) - _SUFFIX_MAX - len(mark)
        return replace(self, private_base=self.base.with_name(_shortened(self.base.name, room) + mark))

    @cached_property
    def lock(self) -> Path:
        return _with_suffix(self.base, LOCK)

    @cached_property
    def part(self) -> Path:
        return _with_suffix(self.private_base or self.base, PART)

    @cached_property
    def journal(self) -> Path:
        return _with_suffix(self.private_base or self.base, JOURNAL)

    @cached_property
    def receipt(self) -> Path:
        return _with_suffix(self.base, RECEIPT)

    @cached_property
    def new_receipt(self) -> Path:
        """Where a receipt is written before it replaces the old one."""
        return _with_suffix(self.private_base or self.base, RECEIPT + NEW)

    def rehearsal_in(self, folder: Path) -> Path:
        """Where a rehearsal goes. Its name ends like the target's: a file system may refuse a last character."""
        name = os.fsencode((self.private_base or self.base).name)
        return folder / f"{REHEARSAL}{hashlib.sha256(name).hexdigest()[:16]}{self.target.name[-1]}"

    @cached_property
    def commit(self) -> Path:
        return _with_suffix(self.base, COMMIT)


class Layout:
    """The paths of any number of targets in one models folder; touches nothing. What is true of all is found out once.

    Args:
        to_read: the targets are only read, so the user may have put their folder elsewhere and a symlink in its place.
    """

    def __init__(self, folder: Path, *, to_read: bool = False) -> None:
        self._folder = folder.absolute()
        self._staged = staging_folder(self._folder)
        self._longest = _name_max(self._folder)
        self._real = os.path.realpath(self._folder)
        self._to_read = to_read
        self._sound: set[Path] = set()  # folders that are known to be inside the models folder

    def staging(self, name: str) -> Staging:
        """The paths of the target `name` below the models folder.

        Raises: UsageError, as `check_name`; StorageError, when a folder on the way is a symlink out of the models
            folder, or the name or the path is too long for the file system.
        """
        check_name(name)
        for part in name.split("/"):
            if len(os.fsencode(part)) > self._longest:
                raise CannotHold(
                    f"the file name {part[:40]}... is too long: {len(os.fsencode(part))} bytes, "
                    f"the file system takes {self._longest}",
                    "Give a shorter one with -o.",
                )
        target, base = self._folder / name, self._staged / name
        _check_path(base)
        for parent in (base.parent,) if self._to_read else (target.parent, base.parent):
            if parent not in self._sound:
                self._check_inside(parent)
        return Staging(self._folder, name, target, base.with_name(_shortened(base.name, self._longest - _SUFFIX_MAX)))

    def _check_inside(self, parent: Path) -> None:
        if not Path(os.path.realpath(parent)).is_relative_to(self._real):
            raise StorageError(
                f"{parent} leads out of the models folder {self._folder}",
                "Remove the symlink there, or install into the folder that it leads to with --dir.",
            )
        self._sound.add(parent)


def staging_for(folder: Path, name: str, *, to_read: bool = False) -> Staging:
    """The paths of one target, as `Layout.staging`."""
    return Layout(folder, to_read=to_read).staging(name)


def staging_at(folder: Path, base: Path, name: str | None) -> Staging:
    """The paths of staging files found on disk; `name` is the target's by one of those files, and is not trusted."""
    if name is not None:
        with contextlib.suppress(UsageError, StorageError):
            expected = staging_for(folder, name)
            if expected.base == base:
                return expected
    return Staging(folder, None, folder / base.relative_to(staging_folder(folder)), base)


def staging_folder(folder: Path) -> Path:
    """Where a models folder has luci's own files."""
    return folder / _FOLDER


def is_staging_folder(name: str) -> bool:
    """Whether a folder of that name in a models folder has luci's own files: no models are looked for there."""
    return name == _FOLDER


def walk_staging(folder: Path, on_error: OnError) -> tuple[list[Path], list[Path]]:
    """Everything in the staging of a models folder; symlinks in it are not followed.

    Returns: the files, or whatever else has a name there, and the folders, each before those in it.
    """
    files, folders, todo = list[Path](), list[Path](), [staging_folder(folder)]
    while todo:
        where = todo.pop()
        try:
            with os.scandir(where) as found:
                is_folder = {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
        except FileNotFoundError:  # never made, or removed by another `clean`
            continue
        except OSError as error:
            on_error(where, storage_error("read", where, error))
            continue
        folders.append(where)
        names = sorted(is_folder)
        files += [where / name for name in names if not is_folder[name] or split_suffix(Path(name))]
        todo += [where / name for name in reversed(names) if is_folder[name]]
    return files, folders


def commit_records(folder: Path) -> list[Path]:
    """The paths of all commit records in the staging of a models folder, as far as it can be read."""
    found, todo = list[str](), [os.fspath(staging_folder(folder))]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(COMMIT):
                    found.append(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
    return sorted(map(Path, found))


def split_suffix(path: Path) -> tuple[Path, str] | None:
    """The base and the suffix of a staging file, NEW being a part of the suffix; None for a file of another kind."""
    base, suffix = os.path.splitext(path.name.removesuffix(NEW))
    return (path.with_name(base), path.name[len(base) :]) if suffix in STAGING_SUFFIXES else None


def in_lock_order(stagings: Iterable[Staging]) -> list[Staging]:
    """The one order in which every process takes several locks, so that no two wait for each other."""
    return sorted(stagings, key=lambda staging: os.fsencode(staging.lock))


def _with_suffix(base: Path, suffix: str) -> Path:
    return base.with_name(base.name + suffix)


def _name_max(folder: Path) -> int:
    for existing in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return os.pathconf(existing, "PC_NAME_MAX")
    return MAX_BYTES


def _check_path(base: Path) -> None:
    """Raises: CannotHold, when the system does not take the longest path of a staging file."""
    longest = os.pathconf("/", "PC_PATH_MAX") - 1
    needed = len(os.fsencode(base)) + _MARK_MAX + _SUFFIX_MAX
    if needed > longest:
        raise CannotHold(
            f"the path of {base.name} is too long: with the names of luci's own files it has up to {needed} bytes, "
            f"the system takes {longest}",
            "Choose a folder with a shorter path with --dir, or give a shorter name with -o.",
            os.strerror(errno.ENAMETOOLONG),
        )


def _shortened(name: str, room: int) -> str:
    """`name`, or as much of its beginning as fits into `room` bytes beside a hash of the whole."""
    raw = os.fsencode(name)
    if len(raw) <= room:
        return name
    mark = "~" + hashlib.sha256(raw).hexdigest()[:16]
    return raw[: room - len(mark)].decode(errors="ignore") + mark
