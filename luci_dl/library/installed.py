"""Which models are installed, by the receipts of a models folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from luci_dl.disk.layout import OnError
from luci_dl.disk.receipt import DISTRUSTED, Receipt
from luci_dl.errors import LockedError
from luci_dl.frozen import frozen
from luci_dl.library.folder import ModelsFolder, skip
from luci_dl.model import Artifact, Model
from luci_dl.text import printable, public_address

State = Literal["ok", "touched", "changed", "missing"]
"""From the best to the worst."""


@frozen
class InstalledFile:
    """One installed file.

    Attributes:
        state: by size and mtime only: "ok"; "touched": only its mtime differs, as when another program used it, so that
            the file is hashed before it is used; "changed"; "missing".
    """

    path: Path
    receipt: Receipt
    state: State


@frozen
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
    def question(self) -> Mapping[str, Any] | None:
        """The options that it was selected with; None if they are unknown."""
        own = (file.receipt for file in self.files if file.receipt.reference == self.reference)
        return next((known.asked for known in own), None)  # a file of two models has the receipt of one

    @property
    def lost(self) -> tuple[str, ...]:
        """The names of files whose receipts are gone."""
        return tuple(name for name in self.names if name not in {file.receipt.name for file in self.files})

    @property
    def state(self) -> State:
        """The worst state of its files."""
        if self.lost:
            return "missing"
        return max((file.state for file in self.files), key=get_args(State).index)

    @property
    def asked(self) -> str:
        """The word that the reference was chosen for, like hf:OWNER/REPO:fit; the reference itself if it was not."""
        return str((self.to_load.receipt.asked or {}).get("word", self.reference))

    @property
    def digests(self) -> Mapping[str, str]:
        """The SHA-256 of each file that is there, by its name below the folder."""
        return {file.receipt.name: file.receipt.sha256 for file in self.files if file.state != "missing"}

    @property
    def to_load(self) -> InstalledFile:
        """The file to pass to a program that loads models: the first shard, never the projector."""
        return next((file for file in self.files if file.receipt.role == "model"), self.files[0])


def installed(folders: Sequence[Path], on_error: OnError = skip) -> list[InstalledModel]:
    """Every model that luci installed into one of the folders, by reference. `on_error`: as of `ModelsFolder`."""
    return [model for folder in folders for model in _installed_in(ModelsFolder(folder, on_error))]


def check_unchanged(model: InstalledModel) -> None:
    """Raises: LockedError, when the model was removed, moved or installed again since it was looked at."""
    now = [each for each in installed([model.folder]) if each.reference == model.reference]
    if [each.digests for each in now] != [model.digests]:
        raise changed_meanwhile(model.reference)


def changed_meanwhile(reference: str) -> LockedError:
    """The error for a model that is not what it was when the command began."""
    what = f"another process has just changed {printable(reference)}"
    return LockedError(what, "See `luci list`, then try again.")


def installed_by(reference: str, folders: Sequence[Path]) -> Model | None:
    """The model that was installed by that reference, from the first of the folders that has all its receipts.

    That is what is known of a reference without asking a server.
    """
    complete = (model for model in find(installed(folders), reference) if not model.lost)
    return next(map(model_of, complete), None)


def model_of(installed_model: InstalledModel) -> Model:
    """The model that was installed, by the receipts of its files."""
    receipts = [file.receipt for file in installed_model.files]
    artifacts = [
        Artifact(known.name, (known.url or known.reference,), known.size, known.sha256, role=known.role)
        for known in receipts
    ]
    kept = {key: data for known in receipts for key, data in known.kept.items()}
    return Model(installed_model.reference, tuple(artifacts), kept=kept)


def find(models: Sequence[InstalledModel], word: str) -> list[InstalledModel]:
    """The models whose reference or file below the folder is the word, or that were chosen for it.

    If there is none: by the reference in upper or lower case, by the same address with another query, or else by the
    last part of a file's name.
    """
    exact = [model for model in models if word in (model.reference, model.asked, *model.names)]
    alike = exact or [model for model in models if word.casefold() == model.reference.casefold()]
    alike = alike or [
        model for model in models if "://" in word and public_address(word) == public_address(model.reference)
    ]
    return alike or [model for model in models if word in {name.rpartition("/")[2] for name in model.names}]


def _installed_in(folder: ModelsFolder) -> list[InstalledModel]:
    by_name = {known.name: known for known in folder.receipts()}
    models = []
    for reference, names in sorted({(known.reference, known.files) for known in by_name.values()}):
        receipts = [by_name[name] for name in names if name in by_name]  # of a file of two models there is only one
        files = [InstalledFile(folder.path / known.name, known, _state(folder.path, known)) for known in receipts]
        models.append(InstalledModel(folder.path, reference, names, tuple(files)))
    return models


def _state(folder: Path, known: Receipt) -> State:
    try:
        info = (folder / known.name).stat()
    except OSError:
        return "missing"
    if info.st_mtime_ns == known.mtime_ns and info.st_size == known.size:
        return "ok"
    return "touched" if info.st_size == known.size and known.mtime_ns != DISTRUSTED else "changed"
