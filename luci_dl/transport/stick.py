"""Which models can be imported from a folder: by the receipts that an export left there, or by its SHA256SUMS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from luci_dl.catalog.catalog import Catalog
from luci_dl.disk.receipt import DISTRUSTED, Receipt, now
from luci_dl.errors import IntegrityError, StorageError, UsageError
from luci_dl.library.folder import ModelsFolder
from luci_dl.library.installed import InstalledFile, InstalledModel, installed
from luci_dl.library.verify import MODEL_FILES
from luci_dl.model import Artifact
from luci_dl.names import check_name
from luci_dl.transport import sums


def models_on(folder: Path, catalog: Catalog) -> list[InstalledModel]:
    """The models in the folder, each file with the name that it will have after the import.

    A file without a receipt, of which SHA256SUMS has the digest, belongs to the model of the catalog that has the
    digest, or else is a model of its own.

    Raises: IntegrityError, when a receipt is damaged or names a path outside, or SHA256SUMS contradicts a receipt or
        names a path outside; StorageError.
    """
    for path in ModelsFolder(folder, _refuse).damaged_receipts():
        hint = f"Nothing was imported. Delete it to import its file by {sums.NAME}, or export the model again."
        raise IntegrityError(f"the receipt {path} is invalid: damaged, or about a file outside of the folder", hint)
    models, digests = installed([folder], _refuse), sums.read(folder).digests
    for file in (file for model in models for file in model.files):
        if digests.get(file.receipt.name, file.receipt.sha256) != file.receipt.sha256:
            what = f"{sums.NAME} says {digests[file.receipt.name]}, its receipt {file.receipt.sha256}"
            raise IntegrityError(f"{file.path} has two SHA-256 digests: {what}", "Export the model again.")
    ours = {name for model in models for name in model.names}
    return [*models, *_loose(folder, {name: each for name, each in digests.items() if name not in ours}, catalog)]


def missing_on(folder: Path) -> list[str]:
    """The model files that SHA256SUMS lists, and that are not there. Raises: as `models_on`."""
    listed = (name for name in sums.read(folder).digests if name.lower().endswith(MODEL_FILES))
    return [name for name in listed if not os.path.exists(folder / name)]


def _refuse(_path: Path, error: StorageError) -> None:
    raise error


def _loose(folder: Path, digests: dict[str, str], catalog: Catalog) -> Iterator[InstalledModel]:
    """The models of files that have no receipt."""
    there = {name: digest for name, digest in digests.items() if _is_below(name) and (folder / name).is_file()}
    by_digest = {digest: name for name, digest in there.items()}
    known = set[str]()
    for entry in catalog.models:
        digests_of = [str(artifact.sha256) for artifact in entry.artifacts]
        if by_digest.keys() >= set(digests_of):
            known.update(digests_of)
            yield _model(folder, entry.reference, entry.artifacts, [folder / by_digest[each] for each in digests_of])
    for name, digest in there.items():
        if digest not in known and name.lower().endswith(MODEL_FILES):
            yield _model(folder, name, [Artifact(name, (name,), None, digest)], [folder / name])


def _is_below(name: str) -> bool:
    """Whether a file of that name can be imported. Raises: IntegrityError, if it would lead out of the folder."""
    try:
        return bool(check_name(name))
    except UsageError as error:
        if name.startswith("/") or ".." in name.split("/"):
            raise IntegrityError(f"{sums.NAME}: {error.message}", "Nothing was imported.") from error
        return False


def _model(folder: Path, reference: str, artifacts: Sequence[Artifact], paths: Sequence[Path]) -> InstalledModel:
    """Its files with the receipts that luci would have written."""
    names = tuple(artifact.name for artifact in artifacts)
    files = [
        InstalledFile(path, _receipt(artifact, reference, names, path), "ok")
        for artifact, path in zip(artifacts, paths, strict=True)
    ]
    return InstalledModel(folder, reference, names, tuple(files))


def _receipt(artifact: Artifact, reference: str, names: tuple[str, ...], path: Path) -> Receipt:
    return Receipt(
        artifact.name,
        reference,
        names,
        artifact.role,
        url="",
        sha256=str(artifact.sha256),
        proof="sha256",
        size=path.stat().st_size,
        mtime_ns=DISTRUSTED,
        installed=now(),
        verified=now(),
    )
