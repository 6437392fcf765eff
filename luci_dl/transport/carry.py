"""Carries a model into another models folder: all of its files, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs, receipt, target
from luci_dl.disk.layout import Layout
from luci_dl.disk.locks import Verb
from luci_dl.disk.part import Part
from luci_dl.disk.place import Places
from luci_dl.disk.target import Found
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, LuciError, StorageError
from luci_dl.events import Deleted, Emit, Progress
from luci_dl.frozen import frozen
from luci_dl.install.copying import Unusable, fill_from, first_opened
from luci_dl.install.local_copies import LocalCopy
from luci_dl.library.installed import InstalledFile, InstalledModel
from luci_dl.model import Artifact
from luci_dl.plan import Options
from luci_dl.text import printable

_FILES, _FILES_EACH = 100, 4
"""Files that are open at once; and the lock, source, part and journal of each artifact."""
MayLink = Callable[[InstalledFile], bool]
"""Whether a file will be removed from its old place, and has just been looked at."""


@frozen
class Carrier:
    """Carries models into the models folder `folder`.

    Attributes:
        replaces: states of `target.Found` in which the file at a target is replaced.
    """

    folder: Path
    verb: Verb
    options: Options
    token: CancelToken
    emit: Emit
    replaces: frozenset[str] = frozenset(("missing", "damaged"))

    def missing(self, model: InstalledModel) -> list[InstalledFile]:
        """The files that the new place does not have yet, by receipts and sizes alone. Changes nothing.

        Raises: IntegrityError, when one of these is not whole, or something else has its name there; CannotHold;
            StorageError.
        """
        layout, places, files = Layout(self.folder), Places(), []
        for name in model.lost:
            known = receipt.read(layout.staging(name).receipt)
            if known is None or (known.reference, known.files) != (model.reference, model.names):
                raise _not_whole(model, f"{model.folder / name} has no receipt")
        for file in model.files:
            staging, artifact = layout.staging(file.receipt.name), artifact_of(file)
            found = target.quick_look(staging, artifact)
            if found.state in self.replaces:
                _check_size(model, file)
                places.check(staging, artifact.size)
                files.append(file)
            elif found.state != "installed" and (found.state, found.size) != ("unproved", artifact.size):
                raise _in_the_way(staging.target, found)
        return files

    def carry(self, model: InstalledModel, may_link: MayLink = lambda _: False) -> int:
        """Copy what the new place does not have, or give it a second name there, and write the receipts.

        Returns: the bytes copied. Raises: IntegrityError; LockedError; Interrupted; StorageError; then the new place is
            as it was.
        """
        fs.allow_files(_FILES + _FILES_EACH * len(model.files))
        transaction = Transaction(
            self.folder,
            [artifact_of(file) for file in model.files],
            reference=model.reference,
            earlier={file.receipt.name: _receipt_in(model, file) for file in model.files},
            options=replace(self.options, wait=0.0),
            token=self.token,
            emit=self.emit,
            verb=self.verb,
        )
        try:
            with transaction:
                opened = [self._open(transaction, file, may_link) for file in model.files]
                parts = [(part, copy) for part, copy in opened if part]
                for part, copy in parts:
                    self._fill(transaction, part, copy)
                transaction.commit()
        except LuciError:
            for event in transaction.endings:
                if not isinstance(event, Deleted):
                    self.emit(event)
            raise
        return sum(copy.size for part, copy in parts if not part.cloned)

    def check_settled(self, model: InstalledModel) -> None:
        """Raises: StorageError, when a file of the model has no receipt at the new place."""
        layout = Layout(self.folder)
        for name in model.names:
            staging = layout.staging(name)
            if receipt.read(staging.receipt) is None:
                raise StorageError(
                    f"{staging.target} has no receipt yet, so {model.reference} also stays in {model.folder}",
                    "Run the command again: it completes this.",
                )

    def _open(self, transaction: Transaction, file: InstalledFile, may_link: MayLink) -> tuple[Part | None, LocalCopy]:
        """The part to fill from the copy; None if there is nothing to copy."""
        artifact = artifact_of(file)
        copy = LocalCopy(file.path, str(file.path.parent), file.receipt.size)
        found = transaction.look(artifact)
        if found.state == "adoptable":
            transaction.adopt(artifact, found)
        elif found.state in self.replaces:
            if found.state == "missing" and may_link(file) and transaction.link(artifact, file.path):
                return None, copy
            source = run_cancellable(lambda: first_opened([copy]), self.token)
            return transaction.open(artifact, source), copy
        elif found.state != "installed":
            raise _in_the_way(self.folder / artifact.name, found)
        return None, copy

    def _fill(self, transaction: Transaction, part: Part, copy: LocalCopy) -> None:
        def report(progress: Progress) -> None:
            transaction.report(progress.name, progress.done, progress.total, progress.rate)

        try:
            fill_from(part, copy, self.token, self.emit, report)
            part.verify(self.token)
        except Unusable as error:
            raise StorageError(
                f"{copy.path} {error}", "Is its disk still there, and sound? See the system's log."
            ) from error
        except IntegrityError as error:
            raise IntegrityError(
                f"{copy.path} is damaged: {error.message}",
                "`luci verify --repair` fetches an installed one again.",
            ) from error


def artifact_of(file: InstalledFile) -> Artifact:
    """The file by its receipt."""
    known = file.receipt
    return Artifact(known.name, (known.url or known.reference,), known.size, known.sha256, role=known.role)


def _check_size(model: InstalledModel, file: InstalledFile) -> None:
    """Raises: IntegrityError, when the file is missing, or has another size than its receipt says."""
    try:
        size = file.path.stat().st_size
    except OSError as error:
        raise _not_whole(model, f"{file.path} is missing") from error
    if size != file.receipt.size:
        raise _not_whole(model, f"{file.path} has {size} bytes, expected {file.receipt.size}")


def _not_whole(model: InstalledModel, problem: str) -> IntegrityError:
    name = printable(model.reference)
    return IntegrityError(f"{name} is not whole: {problem}", f"Repair it first: luci verify --repair {name}")


def _receipt_in(model: InstalledModel, file: InstalledFile) -> receipt.Receipt:
    """The receipt of the file as one of this model: where it is now, it may name another model that shares it."""
    return replace(file.receipt, reference=model.reference, files=model.names)


def _in_the_way(path: Path, found: Found) -> IntegrityError:
    if found.receipt:
        what = f"{path} is another version, which luci installed for {printable(found.receipt.reference)}"
        return IntegrityError(what, f"Remove that first: luci remove {printable(found.receipt.reference)}")
    return IntegrityError(f"{path} exists, and is another file", "Move it away, or choose another folder.")
