"""What is installed: the receipts of a models folder, read together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luci_dl.disk import receipt
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.staging import FOLDER
from luci_dl.errors import StorageError

State = Literal["ok", "changed", "missing"]


@dataclass(frozen=True)
class InstalledFile:
    """One installed file. `state` by size and mtime alone: "ok", "changed", or "missing"."""

    path: Path
    receipt: Receipt
    state: State


@dataclass(frozen=True)
class InstalledModel:
    """The installed files of one model, the one to load first."""

    folder: Path
    reference: str
    files: tuple[InstalledFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.receipt.size for file in self.files)

    @property
    def is_whole(self) -> bool:
        """Whether every file of the model is there, as it was installed."""
        names = {file.receipt.name for file in self.files}
        return set(self.files[0].receipt.files) <= names and all(file.state == "ok" for file in self.files)

    @property
    def to_load(self) -> Path:
        """What a loader is given: the first shard, never the projector."""
        models = [file for file in self.files if file.receipt.role == "model"]
        return (models or list(self.files))[0].path


def installed(folders: Sequence[Path]) -> list[InstalledModel]:
    """Every model that luci installed into one of the folders, by reference. Raises: StorageError."""
    return [model for folder in folders for model in _installed_in(folder.absolute())]


def _installed_in(folder: Path) -> list[InstalledModel]:
    groups: dict[tuple[str, tuple[str, ...]], list[InstalledFile]] = {}
    for known in _receipts(folder):
        file = InstalledFile(folder / known.name, known, _state(folder / known.name, known))
        groups.setdefault((known.reference, known.files), []).append(file)
    models = []
    for (reference, names), files in sorted(groups.items()):
        order = {name: index for index, name in enumerate(names)}
        files.sort(key=lambda file: order.get(file.receipt.name, len(order)))
        models.append(InstalledModel(folder, reference, tuple(files)))
    return models


def _receipts(folder: Path) -> Iterator[Receipt]:
    for where, folders, names in os.walk(folder / FOLDER):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".receipt"):
                try:
                    known = receipt.read(Path(where) / name)
                except StorageError:
                    continue  # of another format, or not ours to read: `clean` says so
                if known:
                    yield known


def _state(path: Path, known: Receipt) -> State:
    try:
        info = path.stat()
    except OSError:
        return "missing"
    return "ok" if (info.st_size, info.st_mtime_ns) == (known.size, known.mtime_ns) else "changed"


def find(models: Sequence[InstalledModel], word: str) -> InstalledModel | None:
    """The installed model that the word means: its reference, or one of its files by name."""
    for model in models:
        names = {file.receipt.name for file in model.files}
        if word == model.reference or word in names or word in {name.rpartition("/")[2] for name in names}:
            return model
    return None
