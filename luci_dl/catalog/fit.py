"""What this machine has room for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from luci_dl.disk import space
from luci_dl.errors import StorageError
from luci_dl.model import Model


@dataclass(frozen=True)
class Fit:
    """Whether a model fits the free disk and the memory; None where that cannot be told."""

    disk: bool | None
    memory: bool | None


@dataclass(frozen=True)
class Machine:
    """What there is room for, in bytes; None where the system does not say.

    Attributes:
        free: what can still be written to the disk, without the reserve that stays free.
        memory: all of it, used or not.
    """

    free: int | None
    memory: int | None

    def fit(self, model: Model, *, installed: bool) -> Fit:
        """Of an installed model the disk is not asked. In memory a model needs a fifth more than its files have."""
        size = model.size
        if size is None:
            return Fit(True if installed else None, None)
        disk = installed or (None if self.free is None else size <= self.free)
        return Fit(disk, None if self.memory is None else size * 6 // 5 <= self.memory)


def this_machine(models_dir: Path, min_free: int) -> Machine:
    """This one, with the disk that has the models folder."""
    there = next((path for path in (models_dir, *models_dir.parents) if os.path.isdir(path)), models_dir)
    try:
        free = max(0, space.free_bytes(there) - min_free)
    except StorageError:
        return Machine(None, _memory())
    return Machine(free, _memory())


def _memory() -> int | None:
    try:
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    return pages * page if pages > 0 and page > 0 else None
