"""`luci status`: the installs that are running."""

from __future__ import annotations

from luci_dl.api.config import Folder, settings
from luci_dl.api.folders import Problems, folders_of
from luci_dl.events import Emit, ignore
from luci_dl.library.running import Running, running

__all__ = ["Running", "status"]


def status(folder: Folder = None, *, emit: Emit = ignore) -> list[Running]:
    """What any process is installing now; what cannot be read is emitted. Raises: UsageError; StorageError."""
    problems = Problems(emit)
    return running(folders_of(settings(folder), folder, problems), problems)
