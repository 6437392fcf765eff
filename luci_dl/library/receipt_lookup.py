"""What can be said of a reference without asking any server: what was installed by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luci_dl.library.installed import InstalledModel, find, installed
from luci_dl.model import Artifact, Model


def installed_by(reference: str, folders: Sequence[Path]) -> Model | None:
    """The model that was installed by that reference into the first of the folders that has it.

    Raises: StorageError.
    """
    there = [model for model in find(installed(folders), reference) if not model.lost]
    return model_of(there[0]) if there else None


def model_of(there: InstalledModel) -> Model:
    """What was installed, by its receipts: those of its files that have one."""
    files = [file.receipt for file in there.files]
    artifacts = [
        Artifact(known.name, (known.url or known.reference,), known.size, known.sha256, role=known.role)
        for known in files
    ]
    return Model(there.reference, tuple(artifacts))
