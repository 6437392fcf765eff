"""Uninstalling models, and cleaning up what interrupted and crashed downloads left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.api.asking import Folder, folders_of, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import Catalog, load
from luci_dl.disk.transaction import ignore
from luci_dl.errors import LockedError, ResolveError
from luci_dl.events import CleanSummary, Emit, Event, Removed
from luci_dl.library import clean as cleaner
from luci_dl.library import installed as library
from luci_dl.library.clean import Report, staged_names
from luci_dl.library.installed import InstalledModel
from luci_dl.library.lookup import Found, is_reference, look_up, targets_of, unknown
from luci_dl.library.remove import Removal, check_idle, plan_removal
from luci_dl.library.remove import remove as remove_one
from luci_dl.library.running import running
from luci_dl.text import printable


def remove(
    *names: str,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Removed]:
    """Uninstall models, as `luci remove NAME... --yes` does. Usable in any thread.

    Args:
        names: of the catalog, addresses as they were installed, or files.
        folder: remove from this models folder alone.
        dry_run: only tell.

    Returns: what was removed (or would be), for each model.
    Raises: ResolveError, when one of them is not installed; LockedError, when one is in use; StorageError; Interrupted;
        what `emit` raised. Up to the first error models are removed; before that, all were looked at.
    """
    removed: list[Removed] = []

    def note(event: Event) -> None:
        if isinstance(event, Removed):
            removed.append(event)
        emit(event)

    with EmitGuard(token, note) as guard:
        remove_all(plan_removals(names, folder), guard.token, guard.emit, dry_run=dry_run)
    return removed


def plan_removals(names: Sequence[str], folder: Folder) -> list[Removal]:
    """What the names mean, and what removing that does; nobody is at work there. Raises: as `remove`."""
    found = settings(folder)
    folders, known = folders_of(found, folder), load(found.catalog)
    there = library.installed(folders)
    meant = dict.fromkeys(_find(name, known, folders, there) for name in names)
    removals = [plan_removal(path, reference) for path, reference in meant]
    for removal in removals:
        check_idle(removal)
    return removals


def remove_all(removals: Sequence[Removal], token: CancelToken, emit: Emit, *, dry_run: bool) -> None:
    """Remove them in turn, or only tell. Raises: as `remove`."""
    for removal in removals:
        if not dry_run:
            remove_one(removal, token, emit)
            continue
        for event in list(removal.events(dry_run=True)):
            emit(event)


def _find(word: str, known: Catalog, folders: Sequence[Path], there: Sequence[InstalledModel]) -> tuple[Path, str]:
    """The folder and the reference of the one model that the word means. Raises: ResolveError; LockedError."""
    found = look_up(word, known, there)
    name = printable(word)
    if not found.installed:
        _check_not_downloading(word, found, folders)
        if found.entry or is_reference(word):
            raise ResolveError(f"{name} is not installed", "`luci clean` removes what an interrupted download left.")
        raise unknown(word, known, there)
    meant = dict.fromkeys((model.folder, model.reference) for model in found.installed)
    if len(references := dict.fromkeys(reference for _, reference in meant)) > 1:
        which = printable(", ".join(references))
        raise ResolveError(f'"{name}" means {len(references)} models', f"Say which: {which}")
    if len(meant) > 1:
        places = printable(", ".join(str(path) for path, _ in meant))
        raise ResolveError(f"{name} is installed in {len(meant)} folders", f"Say which with --dir: {places}")
    return next(iter(meant))


def _check_not_downloading(word: str, found: Found, folders: Sequence[Path]) -> None:
    """Raises: LockedError, when what is not installed yet is on its way."""
    names = {artifact.name for artifact in found.entry.artifacts} if found.entry else {word}
    for run in running(folders):
        if word == run.model or not names.isdisjoint(run.names):
            message = f"{word} is not installed yet: it is being downloaded by {run.description}"
            raise LockedError(printable(message), "Interrupt that, and nothing is left of it.")


def clean(
    *names: str,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> Report:
    """Roll forward what a crash cut off, then remove orphans, as `luci clean` does. Usable in any thread.

    Args:
        names: of models or their files, to limit it to.
        folder: the models folder; by default every one that the command line knows.

    Returns: what was removed (or would be, in a dry run), and the bytes that it freed.
    Raises: ResolveError, for a name that means nothing; UsageError; StorageError; Interrupted; what `emit` raised.
    """
    found = settings(folder)
    folders = [path for path in folders_of(found, folder) if not _is_missing(path)]
    targets = _targets(names, load(found.catalog), folders) if names else None
    total = Report(0, 0, 0)
    with EmitGuard(token, emit) as guard:
        for path in folders:
            report = cleaner.clean(path, targets, dry_run, guard.token, guard.emit)
            total = replace(
                total,
                removed=total.removed + report.removed,
                freed=total.freed + report.freed,
                left_alone=total.left_alone + report.left_alone,
                failed=total.failed + report.failed,
            )
        guard.emit(CleanSummary(total.removed, total.freed, total.left_alone, dry_run))
    return total


def _is_missing(folder: Path) -> bool:
    """That of which it cannot be told is not: looking into it will say why."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _targets(names: Sequence[str], known: Catalog, folders: Sequence[Path]) -> Collection[str]:
    """The target names that the words mean: of the catalog, of what is installed, or of what lies in the staging."""
    there = library.installed(folders)
    staged = {name for folder in folders for name in staged_names(folder)}
    targets: set[str] = set()
    for word in names:
        meant = look_up(word, known, there)
        found = {artifact.name for artifact in meant.entry.artifacts} if meant.entry else set()
        found.update(name for model in meant.installed for name in model.names)
        found.update(name for name in staged if word in (name, name.rpartition("/")[2]))
        found.update(staged.intersection(targets_of(word)))
        if not found:
            raise unknown(word, known, there, "`luci clean` without names cleans all.")
        targets |= found
    return targets
