"""`luci remove`: uninstalling models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from luci_dl.api.config import Folder, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import Catalog, load
from luci_dl.errors import LockedError, ResolveError
from luci_dl.events import Emit, Event, Removed, ignore
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.library.lookup import Found, is_reference, look_up, unknown
from luci_dl.library.remove import Removal, check_idle, check_removable, plan_removal
from luci_dl.library.remove import remove as remove_one
from luci_dl.library.running import running
from luci_dl.text import printable

__all__ = ["Removal", "plan_removals", "remove", "remove_all"]


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
        folder: remove only from this models folder.
        dry_run: remove nothing.

    Returns: what was removed (or would be), for each model.
    Raises: ResolveError, if one of them is not installed; LockedError, if one is in use; StorageError; Interrupted;
        what `emit` raised. All names are checked before the first model is removed.
    """
    removed: list[Removed] = []

    def note(event: Event) -> None:
        if isinstance(event, Removed):
            removed.append(event)
        emit(event)

    with EmitGuard(token, note) as guard:
        remove_all(plan_removals(names, folder, guard.emit), guard.token, guard.emit, dry_run=dry_run)
    return removed


def plan_removals(names: Sequence[str], folder: Folder, emit: Emit) -> list[Removal]:
    """The models that the names mean, none of which is in use, and what removing them does. Raises: as `remove`."""
    found, problems = settings(folder), Problems(emit)
    with problems.explain():
        folders, catalog = folders_of(found, folder, problems), load(found.catalog)
        models = installed(folders, problems)
        meant = dict.fromkeys(find_one(name, catalog, folders, models) for name in names)
    return removals_of(meant)


def removals_of(meant: Iterable[tuple[Path, str]]) -> list[Removal]:
    """Removals of the models, by folder and reference, all of which are possible now. Raises: as `remove`."""
    removals = [plan_removal(path, reference) for path, reference in meant]
    for removal in removals:
        check_idle(removal)
        check_removable(removal)
    return removals


def remove_all(removals: Sequence[Removal], token: CancelToken, emit: Emit, *, dry_run: bool) -> None:
    """Remove the models one after the other, or emit what that would do. Raises: as `remove`."""
    for removal in removals:
        if not dry_run:
            remove_one(removal, token, emit)
            continue
        for event in list(removal.events(dry_run=True)):
            emit(event)


def find_one(
    word: str, catalog: Catalog, folders: Sequence[Path], models: Sequence[InstalledModel]
) -> tuple[Path, str]:
    """The folder and the reference of the one model that the word means. Raises: ResolveError; LockedError."""
    found = look_up(word, catalog, models)
    name = printable(word)
    if not found.installed:
        _check_not_downloading(word, found, folders)
        if found.entry or is_reference(word):
            raise ResolveError(f"{name} is not installed", "`luci clean` removes what an interrupted download left.")
        raise unknown(word, catalog, models)
    meant = dict.fromkeys((model.folder, model.reference) for model in found.installed)
    if len(references := dict.fromkeys(reference for _, reference in meant)) > 1:
        which = printable(", ".join(references))
        raise ResolveError(f'"{name}" means {len(references)} models', f"Choose one of them: {which}")
    if len(meant) > 1:
        places = printable(", ".join(str(path) for path, _ in meant))
        raise ResolveError(f"{name} is installed in {len(meant)} folders", f"Choose one of them with --dir: {places}")
    return next(iter(meant))


def _check_not_downloading(word: str, found: Found, folders: Sequence[Path]) -> None:
    """Raises: LockedError, if the model is being downloaded."""
    names = {artifact.name for artifact in found.entry.artifacts} if found.entry else {word}
    for run in running(folders):
        if word == run.model or not names.isdisjoint(run.names):
            message = f"{word} is not installed yet: it is being downloaded by {run.description}"
            raise LockedError(printable(message), "Interrupt that download, and nothing of it is left.")
