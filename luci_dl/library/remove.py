"""Removing an installed model: its files, their receipts, and what downloads of it left, under its locks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import LockedError, ResolveError
from luci_dl.events import Emit, Event, LeftAlone, Removed, Warned
from luci_dl.library.installed import InstalledFile, InstalledModel, installed
from luci_dl.library.running import running
from luci_dl.model import Artifact
from luci_dl.plan import Options
from luci_dl.text import printable


@dataclass(frozen=True)
class Removal:
    """What it means to remove the model that was installed by that reference.

    Attributes:
        names: of all its files below the folder.
        doomed: the files that go.
        shared: files that stay, for the other model that they are part of, too.
        unknown: files that stay because luci has no receipt of them.
    """

    folder: Path
    reference: str
    names: tuple[str, ...]
    doomed: tuple[InstalledFile, ...]
    shared: tuple[tuple[InstalledFile, InstalledModel], ...]
    unknown: tuple[Path, ...]

    @property
    def freed(self) -> int:
        """Bytes on disk of the files that go."""
        return sum(_blocks(file.path) for file in self.doomed)

    def told(self, *, dry_run: bool) -> Iterator[Event]:
        """What a person should read of it."""
        for file in self.doomed:
            if file.state == "changed":
                yield Warned(f"{file.path} has changed since luci installed it")
        for file, other in self.shared:
            yield LeftAlone(str(file.path), f"{other.reference} needs it, too")
        for path in self.unknown:
            yield LeftAlone(str(path), "luci has no receipt of it")
        yield Removed(self.reference, tuple(str(file.path) for file in self.doomed), self.freed, dry_run)


def plan_removal(folder: Path, reference: str) -> Removal:
    """What removing the model from the models folder would mean, as it is now.

    Raises: ResolveError, when it is not installed there; StorageError.
    """
    there = installed([folder])
    meant = [model for model in there if model.reference == reference]  # several, when its files were other ones once
    if not meant:
        raise ResolveError(f"{printable(reference)} is not installed in {folder}", "`luci list` shows what is.")
    users = {name: model for model in there if model not in meant for name in model.names}
    files = {file.path: file for model in meant for file in model.files}.values()
    lost = {folder / name for model in meant for name in model.lost} - {file.path for file in files}
    return Removal(
        folder,
        reference,
        tuple(dict.fromkeys(name for model in meant for name in model.names)),
        tuple(file for file in files if file.receipt.name not in users),
        tuple((file, users[file.receipt.name]) for file in files if file.receipt.name in users),
        tuple(sorted(filter(os.path.lexists, lost))),
    )


def check_idle(removal: Removal) -> None:
    """Raises: LockedError, when somebody installs or removes one of the files; StorageError."""
    for run in running([removal.folder]):
        if not set(run.names).isdisjoint(removal.names):
            message = f"{removal.reference} is in use by {run.who}"
            raise LockedError(printable(message), "Interrupt that, or wait until it is done.")


def remove(removal: Removal, token: CancelToken, emit: Emit) -> None:
    """Remove the model; once its first file is gone, no signal comes between.

    Raises: LockedError, when one of its files is in use, or the model is not what it was when this was planned;
        StorageError; Interrupted. What is not removed then stays installed, or is missing some of its files, and can
        be removed again.
    """
    fs.check_writable(removal.folder)
    transaction = Transaction(
        removal.folder,
        [Artifact(name, (removal.reference,)) for name in removal.names],
        reference=removal.reference,
        options=Options(wait=0.0),
        token=token,
        emit=emit,
        verb="remove",
    )
    with transaction:
        now = plan_removal(removal.folder, removal.reference)
        if set(now.names) != set(removal.names):
            raise LockedError(f"somebody else has just changed {printable(removal.reference)}", "Look, and try again.")
        events = list(now.told(dry_run=False))
        token.check()
        _remove(now)
    for event in events:
        emit(event)


def _remove(removal: Removal) -> None:
    """First the files, last the receipts: whatever comes between, the model can be removed again."""
    stagings = {name: staging_for(removal.folder, name) for name in removal.names}
    doomed = [stagings[file.receipt.name] for file in removal.doomed]
    for staging in doomed:
        fs.check_writable(staging.target.parent)
    for staging in doomed:
        fs.unlink(staging.target)
    for parent in {staging.target.parent for staging in doomed}:
        fs.sync_folder(parent)
    for file, other in removal.shared:
        staging, known = stagings.pop(file.receipt.name), file.receipt
        if known.reference == removal.reference:
            receipt.write(staging.receipt, replace(known, reference=other.reference, files=other.names))
    for staging in stagings.values():
        fs.unlink(staging.part)
        fs.unlink(staging.journal)
    for staging in doomed:
        _remove_empty_folders(staging.target.parent, removal.folder)
    for staging in doomed:
        fs.unlink(staging.receipt)


def _remove_empty_folders(path: Path, top: Path) -> None:
    while path != top and fs.remove_empty(path):
        path = path.parent


def _blocks(path: Path) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0
