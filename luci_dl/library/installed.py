"""What is installed: the receipts of a models folder, read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luci_dl.disk.receipt import Receipt
from luci_dl.library.folder import ModelsFolder

State = Literal["ok", "changed", "missing"]


@dataclass(frozen=True)
class InstalledFile:
    """One installed file. `state` by size and mtime alone: "ok", "changed", or "missing"."""

    path: Path
    receipt: Receipt
    state: State


@dataclass(frozen=True)
class InstalledModel:
    """What luci installed under one reference into one folder.

    Attributes:
        names: of all its files below the folder, the one to load first.
        files: those that have a receipt, at least one, in the same order.
    """

    folder: Path
    reference: str
    names: tuple[str, ...]
    files: tuple[InstalledFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.receipt.size for file in self.files)

    @property
    def lost(self) -> tuple[str, ...]:
        """The names of files of which even the receipt is gone."""
        return tuple(name for name in self.names if name not in {file.receipt.name for file in self.files})

    @property
    def state(self) -> State:
        """The worst of its files' states."""
        states = {file.state for file in self.files}
        if self.lost or "missing" in states:
            return "missing"
        return "changed" if "changed" in states else "ok"

    @property
    def to_load(self) -> InstalledFile:
        """What a loader is given: the first shard, never the projector."""
        return next((file for file in self.files if file.receipt.role == "model"), self.files[0])


def installed(folders: Sequence[Path]) -> list[InstalledModel]:
    """Every model that luci installed into one of the folders, by reference. Raises: StorageError."""
    return [model for folder in folders for model in _installed_in(folder.absolute())]


def find(models: Sequence[InstalledModel], word: str) -> list[InstalledModel]:
    """The models that the word means: by reference or file below the folder, else by either in part.

    That is, by the reference in upper or lower case, or by the file's last part.
    """
    exact = [model for model in models if word == model.reference or word in model.names]
    alike = exact or [model for model in models if word.casefold() == model.reference.casefold()]
    return alike or [model for model in models if word in {name.rpartition("/")[2] for name in model.names}]


def _installed_in(folder: Path) -> list[InstalledModel]:
    by_name = {known.name: known for known in ModelsFolder(folder).receipts()}
    models = []
    for reference, names in sorted({(known.reference, known.files) for known in by_name.values()}):
        there = [by_name[name] for name in names if name in by_name]  # models may share a file, which has one receipt
        files = tuple(InstalledFile(folder / known.name, known, _state(folder / known.name, known)) for known in there)
        models.append(InstalledModel(folder, reference, names, files))
    return models


def _state(path: Path, known: Receipt) -> State:
    try:
        info = path.stat()
    except OSError:
        return "missing"
    return "ok" if (info.st_size, info.st_mtime_ns) == (known.size, known.mtime_ns) else "changed"
