"""Where the files of one target are: every path in a models folder is made here."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from luci_dl.errors import StorageError, UsageError
from luci_dl.names import check_name

FOLDER = ".luci"
_ROOM = 12  # bytes that the longest suffix and the ".new" of its replacement need
_NAME_MAX = 255


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
