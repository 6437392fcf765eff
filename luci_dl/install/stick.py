"""Models on a stick, for machines without a line: the stick has a models folder with receipts, and a SHA256SUMS."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from luci_dl.catalog.catalog import Catalog
from luci_dl.disk import layout, receipt
from luci_dl.errors import IntegrityError, StorageError
from luci_dl.install.context import InstallContext
from luci_dl.install.relocation import Relocation, context_of, copy
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.library.sums import FILE, add_sums, read_sums
from luci_dl.model import Artifact, Model


def export(model: InstalledModel, folder: Path, context: InstallContext) -> bool:
    """Copy an installed model to the stick, and note it in its SHA256SUMS. The copy shares nothing with the original.

    Returns: False if it was there already. Raises: IntegrityError; LockedError; StorageError; Interrupted.
    """
    relocation = Relocation.of(model, folder)
    read_sums(folder)  # a broken one is found before the first byte
    done = copy(relocation, context_of(relocation, context, min_free=0))
    add_sums(folder, {file.receipt.name: file.receipt.sha256 for file in model.files})
    return done


def models_on(folder: Path, target: Path, catalog: Catalog) -> list[Relocation]:
    """The models in the folder, by their receipts and by SHA256SUMS, on the way to the target.

    A file that has no receipt is called as the catalog calls these bytes, or else by its name.

    Raises: IntegrityError, when a receipt or SHA256SUMS is invalid, or they contradict each other; StorageError.
    """
    if not folder.is_dir():
        raise StorageError(f"{folder} does not exist, or is no folder", "Is the stick mounted?")
    sums = read_sums(folder)
    _check_receipts(folder)
    found = [Relocation.of(model, target) for model in installed([folder])]
    known = {name: known for relocation in found for name, known in relocation.receipts.items()}
    for name, one in known.items():
        if sums.get(name, one.sha256) != one.sha256:
            raise IntegrityError(
                f"{folder / name}: its receipt says SHA-256 {one.sha256[:12]}..., {FILE} says {sums[name][:12]}...",
                "Somebody changed one of them. Export the model again.",
            )
    by_digest = {each.sha256: (model, each) for model in catalog.models for each in model.artifacts if each.sha256}
    for name, sha256 in sums.items():
        if name not in known and (folder / name).is_file():
            found.append(_bare(folder, target, name, sha256, by_digest.get(sha256)))
    return found


def _check_receipts(folder: Path) -> None:
    """Raises: IntegrityError, when a receipt is invalid: somebody may have tampered with it; StorageError."""
    errors: list[StorageError] = []
    files, _ = layout.walk_staging(folder, lambda _path, error: errors.append(error))
    if errors:
        raise errors[0]
    for path in files:
        if path.name.endswith(layout.RECEIPT) and receipt.read(path) is None:
            raise IntegrityError(
                f"the receipt {path} is invalid, so nothing is imported",
                "Export the model again, or remove the receipt: then its file is imported by SHA256SUMS.",
            )


def _bare(folder: Path, target: Path, name: str, sha256: str, entry: tuple[Model, Artifact] | None) -> Relocation:
    """A file without a receipt."""
    path = folder / name
    artifact = Artifact(name, (path.as_uri(),), os.stat(path).st_size, sha256)
    reference = name.rpartition("/")[2]
    if entry and len(entry[0].artifacts) == 1:
        reference, artifact = (
            entry[0].reference,
            Artifact(entry[1].name, artifact.urls, artifact.size, sha256, role=entry[1].role),
        )
    return Relocation(Model(reference, (artifact,)), target, folder, {artifact.name: path}, {})


def chosen(relocations: Sequence[Relocation], name: str) -> list[Relocation]:
    """Those that the name means: a reference, a name below the folder, or the last part of one."""
    word = name.casefold()

    def is_meant(relocation: Relocation) -> bool:
        names = [artifact.name.casefold() for artifact in relocation.model.artifacts]
        return (
            word == relocation.model.reference.casefold()
            or word in names
            or word in {each.rpartition("/")[2] for each in names}
        )

    return [relocation for relocation in relocations if is_meant(relocation)]
