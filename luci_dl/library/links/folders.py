"""LM Studio's folder, and folders of the user's choice: installed files under their own names.

Flat stays flat: a model of one file goes into the folder itself, one of several gets a folder of its own there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from luci_dl.errors import ResolveError, StorageError, UsageError
from luci_dl.frozen import frozen
from luci_dl.library import runners
from luci_dl.library.installed import InstalledFile
from luci_dl.library.links.base import Draft, Question, file_entry
from luci_dl.library.links.entries import Entry
from luci_dl.names import check_name
from luci_dl.text import printable

_ODD = re.compile(r"[^\w.+-]+", re.ASCII)


def plain_name(name: str) -> str:
    """A name for a folder or a section, from a model's name or reference."""
    last = name.rpartition("://")[2].rpartition("/")[2] if "://" in name else name.rpartition("/")[2]
    return check_name(_ODD.sub("-", last.partition("?")[0]).strip("-.") or "model")


class _Plain:
    """A target in whose folder nothing else needs luci's names."""

    def used_elsewhere(self, _root: Path, _entries: Sequence[Entry]) -> set[Path]:
        """As `base.Target`."""
        return set()


@frozen
class LmStudio(_Plain):
    """PUBLISHER/MODEL/FILE, exactly two folders down, a projector beside its model."""

    NAME: ClassVar[str] = "lmstudio"
    NEEDS_HUB: ClassVar[bool] = False

    def place(self) -> Path:
        """As `base.Target`."""
        root = runners.lm_studio()
        if not root.parent.is_dir():
            raise StorageError(
                f"LM Studio is not there: {root.parent} does not exist",
                "Start LM Studio once, which makes it; or link to a folder: luci link /PATH/TO/FOLDER/ NAME",
            )
        return root

    def draft(self, question: Question, root: Path) -> Draft:
        """As `base.Target`."""
        places = question.hub or {}
        place = places.get(question.model.to_load.receipt.name)
        name = question.given or (place.repo if place else f"luci/{plain_name(question.name)}")
        if name.count("/") != 1:
            raise ResolveError(f'LM Studio takes names like PUBLISHER/MODEL, found "{printable(name)}"')
        return Draft(root, name, _entries(question.model.files, root / check_name(name)))


@frozen
class Directory(_Plain):
    """A folder of the user's choice."""

    NAME: ClassVar[str] = "folder"
    NEEDS_HUB: ClassVar[bool] = False

    def place(self) -> Path:
        """Raises: UsageError: a folder is always named."""
        raise UsageError("the folder is not named", "Give its path.")

    def draft(self, question: Question, root: Path) -> Draft:
        """As `base.Target`."""
        files = question.model.files
        if len(files) == 1 and not question.given:
            name = files[0].receipt.name.rpartition("/")[2]
            return Draft(root, name, (file_entry(files[0], root / name),))
        name = check_name(question.given or plain_name(question.name))
        return Draft(root, name, _entries(files, root / name))


def _entries(files: Sequence[InstalledFile], folder: Path) -> tuple[Entry, ...]:
    """Below the folder the files have the paths that they have below their common folder."""
    names = [file.receipt.name.split("/") for file in files]
    common = 0
    while all(len(name) > common + 1 and name[common] == names[0][common] for name in names):
        common += 1
    return tuple(file_entry(file, folder / "/".join(name[common:])) for file, name in zip(files, names, strict=True))


lm_studio = LmStudio()
directory = Directory()
