"""`luci list`: the installed models."""

from __future__ import annotations

from luci_dl.api.config import Folder, folders_of, settings
from luci_dl.library import installed as library
from luci_dl.library.installed import InstalledFile, InstalledModel

__all__ = ["InstalledFile", "InstalledModel", "installed"]


def installed(folder: Folder = None) -> list[InstalledModel]:
    """The installed models. Raises: UsageError; StorageError."""
    return library.installed(folders_of(settings(folder), folder))
