"""`luci status`: the installs that are running."""

from __future__ import annotations

from luci_dl.api.config import Folder, folders_of, settings
from luci_dl.library.running import Running, running

__all__ = ["Running", "status"]


def status(folder: Folder = None) -> list[Running]:
    """What any process is installing now. Raises: UsageError; StorageError."""
    return running(folders_of(settings(folder), folder))
