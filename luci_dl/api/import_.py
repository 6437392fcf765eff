"""`luci import`: models from a stick, without a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.api.carried import Noted, carried, folder_for
from luci_dl.api.config import Folder, Settings, settings
from luci_dl.api.folders import missing_folder
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import Catalog, load
from luci_dl.disk.same_folder import identity
from luci_dl.errors import LuciError, ResolveError, StorageError
from luci_dl.events import Emit, Moved, Warned, ignore
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.library.lookup import look_up
from luci_dl.text import did_you_mean, nearest, printable
from luci_dl.transport import sums
from luci_dl.transport.carry import Carrier
from luci_dl.transport.stick import missing_on, models_on
from luci_dl.transport.trips import Trip, plan_trips, run_trips


def import_models(
    source: str | Path,
    *names: str,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Moved]:
    """Install models from a folder, as `luci import DIR [NAME...]` does, and ask no server. Usable in any thread.

    Args:
        source: where `export` put them, or any folder whose files a SHA256SUMS lists.
        names: of the catalog, references as they were installed, or files; none means all.
        folder: the models folder; by default the one that the command line uses.
        dry_run: change nothing.

    Returns: what was imported (or would be), or was there already. Raises: ResolveError, if it is not in the folder;
        IntegrityError, for wrong bytes, or a receipt or sum that cannot be right; LockedError; StorageError;
        Interrupted; what `emit` raised.
    """
    with Noted(token, emit) as noted:
        noted.check(import_all(source, names, folder, noted.token, noted.emit, dry_run=dry_run))
    return noted.carried


def import_all(
    source: str | Path, names: Sequence[str], folder: Folder, token: CancelToken, emit: Emit, *, dry_run: bool
) -> LuciError | None:
    """Import the models, or emit what that would do. Returns: the first error, emitted. Raises: as `import_models`."""
    found, stick = settings(folder), settings(source).models_dir
    target = found.models_dir
    if error := missing_folder(found, target):
        raise error
    carrier = Carrier(target, "import", found.options, token, emit)
    new = []
    for model in _chosen(stick, names, load(found.catalog)):
        if there := _installed_elsewhere(model, found, folder):
            emit(carried(Trip(model, None), there.folder, "already", 0))
        else:
            new.append(model)
    for name in [] if names else missing_on(stick):
        emit(Warned(f"{sums.NAME} lists {printable(name)}, which is not in {stick}"))
    trips = plan_trips(new, carrier)
    if dry_run:
        return run_trips(trips, lambda trip: replace(carried(trip, target, "imported", trip.needs), dry_run=True), emit)
    with folder_for(trips, target, found, token, emit, named=folder is not None):
        return run_trips(trips, lambda trip: carried(trip, target, "imported", carrier.carry(trip.model)), emit)


def _chosen(stick: Path, names: Sequence[str], catalog: Catalog) -> list[InstalledModel]:
    """The models in the folder that the names mean. Raises: ResolveError; IntegrityError; StorageError."""
    if not stick.is_dir():
        what = "is not a folder" if os.path.lexists(stick) else "does not exist"
        raise StorageError(f"{stick} {what}", "Is the stick mounted?")
    models = models_on(stick, catalog)
    if not models:
        hint = "It needs what `luci export` writes, or a SHA256SUMS that lists model files."
        raise ResolveError(f"{stick} has no models that can be imported", hint)
    chosen = dict[InstalledModel, None]()
    for name in names:
        meant = look_up(name, catalog, models).installed
        if not meant:
            known = [each for model in models for each in (model.reference, model.to_load.receipt.name)]
            guess = did_you_mean(*nearest(name, known, 1))
            raise ResolveError(
                f"{printable(name)} is not in {stick}{guess}", f"`luci list --dir {stick}` shows what is."
            )
        chosen |= dict.fromkeys(meant)
    return list(chosen or models)


def _installed_elsewhere(model: InstalledModel, found: Settings, folder: Folder) -> InstalledModel | None:
    """The same model where it is installed, if that is another folder than the one to import into."""
    digests = {file.receipt.name: file.receipt.sha256 for file in model.files}
    stick = identity(model.folder)
    folders = [] if folder is not None else [path for path in found.every_folder if identity(path) != stick]
    same = (
        each
        for each in installed(folders)
        if each.state == "ok" and {file.receipt.name: file.receipt.sha256 for file in each.files} == digests
    )
    return next(same, None)
