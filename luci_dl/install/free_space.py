"""What to do about a full disk: which leftovers and which models could be removed."""

from __future__ import annotations

import contextlib
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import space
from luci_dl.disk.place import existing
from luci_dl.disk.storage_errors import room_figures
from luci_dl.errors import LuciError, NoRoom, StorageError
from luci_dl.events import ignore
from luci_dl.text import human_size, printable

_LARGEST = 3
"""How many models are suggested."""


def message_and_hint(error: LuciError, folder: Path, needed: int | None) -> tuple[str, str]:
    """Those of the error. If there is no room, what could be removed is added, and figures where they explain it.

    Args:
        needed: bytes of the model that was to be installed into the folder.
    """
    if not isinstance(error, NoRoom) or error.lack == "inodes":
        return error.message, error.hint
    figures = "" if error.has_figures or error.lack == "quota" else _figures(folder, needed)
    return error.message + figures, how_to_free_space(folder)


def _figures(folder: Path, needed: int | None) -> str:
    """Empty if the free space is unknown, or would be enough."""
    with contextlib.suppress(StorageError):
        free = space.free_bytes(existing(folder))
        if free is not None and (needed is None or free < needed):
            return f" ({room_figures(needed, free)})"
    return ""


def how_to_free_space(folder: Path) -> str:
    """What could be removed from the models folder, and what else would help, one suggestion a line."""
    from luci_dl.library.clean import clean  # most installs need neither
    from luci_dl.library.installed import installed

    lines = []
    with contextlib.suppress(StorageError):
        freed = clean(folder, None, True, CancelToken(), ignore).freed
        if freed >= 1 << 20:
            lines.append(f"Unfinished downloads: {human_size(freed)}; `luci clean` removes them.")
    with contextlib.suppress(StorageError):
        largest = sorted(installed([folder]), key=lambda model: -model.size)[:_LARGEST]
        if largest:
            listed = ", ".join(f"{printable(model.reference)} ({human_size(model.size)})" for model in largest)
            lines.append(f"Largest models: {listed}; `luci remove NAME` removes one.")
    other = "Or install" if lines else "Free some space, or install"
    lines.append(f"{other} into another folder: --dir PATH, or luci config set backup_models_dir PATH.")
    return "\n".join(lines)
