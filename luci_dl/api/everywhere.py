"""`luci list --everywhere`: what all programs on this machine hold, and which bytes are on the disk twice."""

from __future__ import annotations

import os

from luci_dl.api.config import Folder, settings
from luci_dl.api.folders import Problems, folders_of
from luci_dl.events import Emit, ignore
from luci_dl.library import everywhere as library
from luci_dl.library.everywhere import Found, Held, perhaps_wasted, wasted

__all__ = ["Found", "Held", "everywhere", "perhaps_wasted", "wasted"]


def everywhere(folder: Folder = None, *, emit: Emit = ignore) -> list[Found]:
    """Each file of a model that luci or another program holds, with the others of the same bytes.

    Args:
        folder: of luci's models, only those in this folder.

    What cannot be read is emitted. Raises: UsageError; StorageError, if no models folder can be read.
    """
    problems = Problems(emit)
    return library.everywhere(os.environ, folders_of(settings(folder), folder, problems), problems)
