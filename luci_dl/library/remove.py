"""Removing an installed model: its files, their receipts, and parts of unfinished downloads, under its locks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.locks import Verb
from luci_dl.disk.place import check_deletable
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import LockedError, ResolveError
from luci_dl.events import Emit, Event, LeftAlone, Removed, Warned
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledFile, InstalledModel, changed_meanwhile, installed
from luci_dl.library.links.place import has_links
from luci_dl.library.running import running
from luci_dl.library.sharing import needed_by, without_receipt
from luci_dl.model import Artifact
from luci_dl.plan import Options
from luci_dl.text import printable


@frozen
class Removal:
    """What removing the model that was installed by that reference does.

    Attributes:
        names: of all its files below the folder.
        to_remove: the files that are deleted.
        shared: files that stay, each with the other model that needs it.
        unknown: files that stay because they have no receipt.
    """

    folder: Path
    reference: str
    names: tuple[str, ...]
    to_remove: tuple[InstalledFile, ...]
    shared: tuple[tuple[InstalledFile, InstalledModel], ...]
    unknown: tuple[Path, ...]

    @property
    def files(self) -> tuple[InstalledFile, ...]:
        """All files of the model that have a receipt, the one to load first."""
        files = {file.receipt.name: file for file in (*self.to_remove, *(file for file, _ in self.shared))}
        return tuple(files[name] for name in self.names if name in files)

    @property
    def freed(self) -> int:
        """Bytes on disk of the files that are deleted."""
        return sum(_blocks(file.path) for file in self.to_remove)

    @property
    def left(self) -> Iterator[LeftAlone]:
        """The files that stay, and why."""
        yield from (needed_by(other.reference, file.path) for file, other in self.shared if os.path.lexists(file.path))
        yield from map(without_receipt, self.unknown)

    def events(self, *, dry_run: bool) -> Iterator[Event]:
        """What to report about it; about its links only before, since they are removed first."""
        if dry_run and has_links():
            from luci_dl.library.links.follow import would_drop  # not needed by most

            yield from would_drop(self.folder, self.reference)
        for file in self.to_remove:
            if file.state in ("touched", "changed"):
                may = "may have" if file.state == "touched" else "has"
                yield Warned(f"{file.path} {may} changed since luci installed it")
        yield from self.left
        paths = tuple(str(file.path) for file in self.to_remove if os.path.lexists(file.path))
        yield Removed(self.reference, paths, self.freed, dry_run)


def plan_removal(folder: Path, reference: str) -> Removal:
    """What removing the model from the models folder would do now.

    Raises: ResolveError, when it is not installed there; StorageError.
    """
    models = installed([folder])
    meant = [model for model in models if model.reference == reference]  # several, if it had other files earlier
    if not meant:
        raise ResolveError(f"{printable(reference)} is not installed in {folder}", "See what is: luci list")
    users = {name: model for model in models if model not in meant for name in model.names}
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
    """Raises: LockedError, when a process is installing or removing one of the files; StorageError."""
    for run in running([removal.folder]):
        if not set(run.names).isdisjoint(removal.names):
            message = f"{removal.reference} is in use by {run.description}"
            raise LockedError(printable(message), "Interrupt that, or wait until it is done.")


def check_removable(removal: Removal) -> None:
    """Raises: StorageError, when one of the files or receipts may not be deleted."""
    for file in removal.to_remove:
        for path in (file.path, staging_for(removal.folder, file.receipt.name).receipt):
            fs.check_writable(path.parent)
            check_deletable(path)


def remove(removal: Removal, token: CancelToken, emit: Emit) -> None:
    """Remove the model. It can be interrupted until the first file is deleted.

    Raises: LockedError, when one of its files is in use, or the model has changed since the removal was planned;
        StorageError; Interrupted. What is left can be removed again.
    """
    with locked(removal, "remove", token, emit) as (_, now):
        events = list(now.events(dry_run=False))
        token.check()
        with contextlib.ExitStack() as stack:
            if has_links():
                from luci_dl.library.links.follow import dropped  # not needed by most

                # first: no program may see a link that leads nowhere
                stack.enter_context(dropped(removal.folder, removal.reference, token, emit))
            delete(now)
    for event in events:
        emit(event)


@contextlib.contextmanager
def locked(removal: Removal, verb: Verb, token: CancelToken, emit: Emit) -> Iterator[tuple[Transaction, Removal]]:
    """Hold the locks of the model, and yield them with the removal as it is now.

    Raises: LockedError, when one of its files is in use, or the model has changed since the removal was planned;
        StorageError; Interrupted.
    """
    check_removable(removal)
    transaction = Transaction(
        removal.folder,
        [Artifact(name, (removal.reference,)) for name in removal.names],
        reference=removal.reference,
        earlier={file.receipt.name: file.receipt for file in removal.files},
        options=Options(wait=0.0),
        token=token,
        emit=emit,
        verb=verb,
    )
    with transaction:
        now = plan_removal(removal.folder, removal.reference)
        if set(now.names) != set(removal.names):
            raise changed_meanwhile(removal.reference)
        yield transaction, now


def delete(removal: Removal) -> None:
    """Under its locks, delete files first and receipts last: after a crash in between, it can be removed again."""
    stagings = {name: staging_for(removal.folder, name) for name in removal.names}
    removed = [stagings[file.receipt.name] for file in removal.to_remove]
    check_removable(removal)
    for staging in removed:
        fs.unlink(staging.target)
    for parent in {staging.target.parent for staging in removed}:
        fs.sync_folder(parent)
    shared = {file.receipt.name: (file.receipt, other) for file, other in removal.shared}
    for name, staging in stagings.items():
        if name not in shared:
            fs.unlink(staging.part)
            fs.unlink(staging.journal)
    for name, (known, other) in shared.items():  # behind the others: a receipt needs a new file
        if known.reference == removal.reference:
            receipt.write(stagings[name].receipt, replace(known, reference=other.reference, files=other.names))
    for staging in removed:
        _remove_empty_folders(staging.target.parent, removal.folder)
    for staging in removed:
        fs.unlink(staging.receipt)


def _remove_empty_folders(path: Path, top: Path) -> None:
    while path != top and fs.remove_empty(path):
        path = path.parent


def _blocks(path: Path) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0
