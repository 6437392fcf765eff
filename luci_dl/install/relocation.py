"""Installed models in another folder: moved, exported to a stick, imported from one. There is always a whole copy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from luci_dl.disk.layout import Layout
from luci_dl.disk.place import Places
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.same_folder import identity
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, NetworkError
from luci_dl.events import Emit, ignore
from luci_dl.frozen import frozen
from luci_dl.install.context import InstallContext
from luci_dl.install.local_copies import Copies, LocalCopy
from luci_dl.install.transfer import Installation
from luci_dl.library.installed import InstalledFile, InstalledModel, model_of
from luci_dl.library.links.follow import follow
from luci_dl.library.links.record import has_links
from luci_dl.library.remove import removal_of, remove_now
from luci_dl.model import Artifact, Model
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan


@frozen
class Relocation:
    """A model whose bytes are in other files, and the folder where it is to be.

    Attributes:
        sources: where each file is, by its name below the folder.
        receipts: of the files, as far as they have any.
    """

    model: Model
    folder: Path
    source: Path
    sources: Mapping[str, Path]
    receipts: Mapping[str, Receipt]

    @classmethod
    def of(cls, installed: InstalledModel, folder: Path) -> Relocation:
        """That of an installed model."""
        files = {file.receipt.name: file for file in installed.files}
        model = replace(model_of(installed), artifacts=tuple(map(_artifact, installed.files)))
        paths = {name: file.path for name, file in files.items()}
        return cls(model, folder, installed.folder, paths, {name: file.receipt for name, file in files.items()})

    @property
    def plan(self) -> Plan:
        return Plan(self.model, self.folder)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(str(self.folder / artifact.name) for artifact in self.model.artifacts)


def _artifact(file: InstalledFile) -> Artifact:
    known = file.receipt
    return Artifact(known.name, (file.path.as_uri(),), known.size, known.sha256, role=known.role)


class _Sources(Copies):
    """The copies of a relocation: one for each file."""

    def __init__(self, relocation: Relocation, emit: Emit) -> None:
        super().__init__(os.environ, (), (), caches=False, emit=emit)
        self._relocation = relocation

    def find(self, artifact: Artifact, target: Path) -> list[LocalCopy]:
        """The file itself."""
        path = self._relocation.sources[artifact.name]
        return [LocalCopy(path, str(self._relocation.source), artifact.size or 0)]


def context_of(relocation: Relocation, context: InstallContext, *, min_free: int | None = None) -> InstallContext:
    """The context that takes the bytes from there, and from nowhere else."""
    least = context.options.min_free if min_free is None else min_free
    options = replace(context.options, offline=True, force=False, wait=0.0, min_free=least)
    return replace(context, options=options, network=Network(offline=True), copies=_Sources(relocation, ignore))


def copy(relocation: Relocation, context: InstallContext) -> bool:
    """Install the model from there, with the same checks as for bytes from a server.

    Args:
        context: that of `context_of`.

    Returns: whether anything had to be done. Raises: IntegrityError, when the bytes are wrong; LockedError;
        StorageError; Interrupted. Then nothing has changed at the target.
    """
    layout, places = Layout(relocation.folder), Places()
    for artifact in relocation.model.artifacts:  # before anything is made there
        places.check(layout.staging(artifact.name), artifact.size)
    try:
        installed = Installation(relocation.plan, _transaction(relocation, context), context).run()
    except NetworkError as error:
        raise _wrong(relocation) from error
    return installed.outcome != "already"


def _wrong(relocation: Relocation) -> IntegrityError:
    return IntegrityError(
        f"the bytes of {relocation.model.reference} in {relocation.source} are wrong, or cannot be read",
        "Nothing was changed. Check them: luci verify --dir " + str(relocation.source),
    )


def _transaction(relocation: Relocation, context: InstallContext) -> Transaction:
    model = relocation.model
    return Transaction(
        relocation.folder,
        model.artifacts,
        reference=model.reference,
        asked=model.asked,
        kept=model.kept,
        earlier=relocation.receipts,
        options=context.options,
        token=context.token,
        emit=context.emit,
    )


def move(installed: InstalledModel, folder: Path, context: InstallContext) -> bool:
    """Move a model to another models folder: there first, then the old files are removed.

    Files that another model in the old folder needs are copied. Links to other programs lead to the new files.

    Returns: False if it was there already. Raises: as `copy`; LockedError also if somebody works on the model.
    """
    if identity(folder) == identity(installed.folder):
        return False
    relocation = Relocation.of(installed, folder)
    names = [Artifact(name, (installed.reference,)) for name in installed.names]
    options = Options(wait=0.0)
    with Transaction(
        installed.folder,
        names,
        reference=installed.reference,
        options=options,
        token=context.token,
        emit=context.emit,
        verb="move",
    ):
        is_done = installed.state == "missing"  # of an earlier move, which was cut off when it removed these
        if not is_done and not _take(relocation, context):
            copy(relocation, context_of(relocation, context))
        if has_links():
            follow(installed.folder, installed.reference, context.emit, folder)
        remove_now(removal_of(installed))
    return True


def _take(relocation: Relocation, context: InstallContext) -> bool:
    """Move the files by their names alone; False where they have to be copied."""
    if any(os.path.lexists(path) for path in relocation.paths):
        return False
    with _transaction(relocation, context_of(relocation, context)) as transaction:
        return transaction.take(relocation.sources)
