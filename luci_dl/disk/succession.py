"""What becomes of the files of an installed version when a transaction puts another in its place."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

from luci_dl.disk import fs, receipt, target
from luci_dl.disk.commit import Entries
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Layout, Staging
from luci_dl.disk.receipt import ModelFacts, Receipt
from luci_dl.errors import StorageError
from luci_dl.events import Emit, Warned


class Succession:
    """The files that luci installed earlier: those that stay get new receipts, others of a replaced version go.

    Args:
        replaced: names of all files of the version that is replaced; none if there is none.
        new: names of the files of the transaction.

    Attributes:
        obsolete: the staging of each file of the replaced version that the new one does not have.
    """

    def __init__(self, layout: Layout, replaced: Collection[str], new: Collection[str]) -> None:
        self.obsolete = {name: layout.staging(name) for name in replaced if name not in new}
        self._found: dict[Staging, Receipt] = {}

    def note(self, staging: Staging, known: Receipt) -> None:
        """The receipt of a file that is at its target, and right."""
        self._found[staging] = known

    def entries(self, facts: ModelFacts, fetched: Collection[str], needed: Mapping[str, Receipt]) -> Entries:
        """What the commit must do beside installing the files that were fetched.

        Args:
            facts: of the model of the transaction.
            needed: the receipts from now on of obsolete files that other models need.
        """
        receipts = {
            staging: new
            for staging, known in self._found.items()
            if known.name not in fetched and (new := _renewed(known, facts)) != known
        }
        receipts |= {self.obsolete[name]: new for name, new in needed.items()}
        dropped = [staging for name, staging in self.obsolete.items() if name not in needed]
        return [*_entries(receipts), *((staging, None) for staging in dropped)]


def _renewed(known: Receipt, facts: ModelFacts) -> Receipt:
    """The new receipt of a file that stays, if the old one does not say what was asked, or what belongs together."""
    return facts.renewed(known) if known.reference == facts.reference else known


def _entries(receipts: Mapping[Staging, Receipt]) -> Iterable[tuple[Staging, CommitEntry]]:
    for staging, known in receipts.items():
        if identity := target.identity_of(staging):
            yield staging, CommitEntry(known.size, known.sha256, identity[1], known, None)


def write_receipts(entries: Entries, emit: Emit) -> None:
    """Write those receipts, where there is nothing else to commit. What fails is a warning."""
    for staging, entry in entries:
        try:
            if entry:
                receipt.write(staging.receipt, entry.receipt, staging.new_receipt)
        except StorageError as error:
            emit(Warned(f"{error.message}; the next install tries again"))


def drop(stagings: Iterable[Staging]) -> None:
    """Remove the files and their receipts, which go last, so that it can be repeated. Raises: StorageError."""
    ours = [staging for staging in stagings if receipt.read(staging.receipt)]
    for staging in ours:
        fs.unlink(staging.target)
    for folder in filter(os.path.isdir, {staging.target.parent for staging in ours}):
        fs.sync_folder(folder)
    for staging in ours:
        folder = staging.target.parent
        while folder != staging.folder and (fs.remove_empty(folder) or not folder.exists()):
            folder = folder.parent
    for staging in ours:
        for path in (staging.part, staging.journal, staging.receipt):
            fs.unlink(path)
