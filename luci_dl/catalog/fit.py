"""Which models fit the disk and the memory of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from luci_dl.disk import space
from luci_dl.disk.place import existing
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen
from luci_dl.model import Model


@frozen
class Fit:
    """Whether a model fits the free disk space and the memory; None where that is unknown."""

    disk: bool | None
    memory: bool | None


@frozen
class Machine:
    """The capacity of a machine, in bytes; None where that is unknown.

    Attributes:
        free: free disk space, without the reserve that stays free.
        memory: total memory, used or not.
    """

    free: int | None
    memory: int | None

    def fit(self, model: Model, *, installed: bool) -> Fit:
        """Whether the model fits. Installed, it needs no more disk; loaded, it takes a fifth more than on disk."""
        size = model.size
        if size is None:
            return Fit(True if installed else None, None)
        disk = installed or (None if self.free is None else size <= self.free)
        return Fit(disk, None if self.memory is None else size * 6 // 5 <= self.memory)


def this_machine(models_dir: Path, min_free: int) -> Machine:
    """The capacity of this machine, with the disk of the models folder."""
    try:
        free = space.free_bytes(existing(models_dir))
    except StorageError:
        free = None
    return Machine(None if free is None else max(0, free - min_free), _memory())


def _memory() -> int | None:
    try:
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    return pages * page if pages > 0 and page > 0 else None
