"""`luci move`: models to another models folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.api.carried import Noted, carried, folder_for
from luci_dl.api.config import Folder, settings
from luci_dl.api.folders import Problems, folders_of, missing_folder
from luci_dl.api.remove import find_one, removals_of
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import load
from luci_dl.disk.same_folder import distinct, identity
from luci_dl.errors import LuciError
from luci_dl.events import Emit, Moved, ignore
from luci_dl.library.installed import installed
from luci_dl.library.lookup import look_up
from luci_dl.library.remove import Removal
from luci_dl.transport.carry import Carrier
from luci_dl.transport.move import model_in
from luci_dl.transport.move import move as move_one
from luci_dl.transport.trips import Trip, plan_trips, run_trips


def move(
    *names: str,
    to: str | Path,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Moved]:
    """Move installed models to another models folder, as `luci move NAME... --to DIR` does. Usable in any thread.

    Args:
        names: of the catalog, references as they were installed, or files.
        to: the other models folder; it is made if there is none, and remembered.
        folder: move only from this models folder.
        dry_run: change nothing.

    Returns: what was moved (or would be), or was there already. Raises: ResolveError, for a model that is not
        installed; LockedError, for one in use; both before anything is moved; IntegrityError, for one that has changed;
        StorageError; Interrupted; what `emit` raised.
    """
    with Noted(token, emit) as noted:
        noted.check(move_all(names, to, folder, noted.token, noted.emit, dry_run=dry_run))
    return noted.carried


def move_all(
    names: Sequence[str], to: str | Path, folder: Folder, token: CancelToken, emit: Emit, *, dry_run: bool
) -> LuciError | None:
    """Move the models, or emit what that would do. Returns: the first error, emitted. Raises: as `move`."""
    found, target = settings(folder), settings(to).models_dir
    if error := missing_folder(found, target):
        raise error
    carrier = Carrier(target, "move", found.options, token, emit)
    removals = _removals(names, target, folder, emit)
    trips = plan_trips([model_in(each) for each in removals], carrier)
    if dry_run:
        for trip, removal in zip(trips, removals, strict=True):
            for event in removal.left:
                emit(event)
            emit(replace(carried(trip, target, "moved", trip.needs), outcome="moved", dry_run=True))
        return None
    by_model = {trip.model: removal for trip, removal in zip(trips, removals, strict=True)}
    with folder_for(trips, target, found, token, emit, named=True):
        return run_trips(trips, lambda trip: move_one(by_model[trip.model], carrier), emit)


def _removals(names: Sequence[str], target: Path, folder: Folder, emit: Emit) -> list[Removal]:
    """What is removed when the models have been carried. Those that are only there already are emitted."""
    found, problems = settings(folder), Problems(emit)
    with problems.explain():
        folders, catalog = folders_of(found, folder, problems), load(found.catalog)
        models = installed(distinct([*folders, target]), problems)
        there = [model for model in models if identity(model.folder) == identity(target)]
        elsewhere = [model for model in models if model not in there]
        meant = dict[tuple[Path, str], None]()
        for name in names:
            already = look_up(name, catalog, there).installed
            if already and not look_up(name, catalog, elsewhere).installed:
                for model in already:
                    emit(carried(Trip(model, None), target, "already", 0))
            else:
                meant[find_one(name, catalog, folders, elsewhere)] = None
    return removals_of(meant)
