"""`luci list`: the installed models."""

from __future__ import annotations

from luci_dl.api.config import Folder, settings
from luci_dl.api.folders import Problems, folders_of
from luci_dl.events import Emit, ignore
from luci_dl.library import installed as library
from luci_dl.library.installed import InstalledFile, InstalledModel

__all__ = ["InstalledFile", "InstalledModel", "installed"]


def installed(folder: Folder = None, *, emit: Emit = ignore) -> list[InstalledModel]:
    """The installed models. What cannot be read is emitted, and the others are returned.

    Raises: UsageError; StorageError, if something cannot be read, and no model is found.
    """
    problems = Problems(emit)
    models = library.installed(folders_of(settings(folder), folder, problems), problems)
    if problems.first and not models:
        raise problems.first
    return models
