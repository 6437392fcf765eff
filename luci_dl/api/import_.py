"""`luci import`: models from a stick, without a network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from luci_dl.api.carried import Noted, carried, folder_for
from luci_dl.api.config import Folder, Settings, settings
from luci_dl.api.folders import missing_folder, without_missing_backup
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import Catalog, load
from luci_dl.disk.same_folder import distinct, identity
from luci_dl.errors import LuciError, ResolveError, StorageError
from luci_dl.events import Emit, Moved, Warned, ignore
from luci_dl.library.installed import InstalledModel, installed, model_of
from luci_dl.library.links.targets import check_targets
from luci_dl.library.lookup import look_up
from luci_dl.library.verify import verify_unsure
from luci_dl.plan import Plan
from luci_dl.text import did_you_mean, nearest, printable
from luci_dl.transport import sums
from luci_dl.transport.carry import Carrier
from luci_dl.transport.stick import missing_on, models_on
from luci_dl.transport.trips import Trip, place_trips, run_trips


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
    """Import the models, or emit what that would do. Returns: the first error, emitted. Raises: as `import_models`.

    As by an install, they are linked to what the setting `links` names, and the backup folder takes what the first one
    cannot hold.
    """
    found, stick = settings(folder), settings(source).models_dir
    target = found.models_dir
    if error := missing_folder(found, target):
        raise error
    catalog, named = load(found.catalog), folder is not None
    check_targets(found.links)

    def link(trip: Trip, moved: Moved) -> LuciError | None:
        return None if dry_run else _link(trip.model, Path(moved.folder), catalog, found.links, token, emit)

    def elsewhere(model: InstalledModel) -> InstalledModel | None:
        same = _installed_elsewhere(model, found, folder)
        return next((each for each in same if dry_run or _is_sound(each, token, emit)), None)

    chosen = _chosen(stick, names, catalog)
    for name in [] if names else missing_on(stick):
        emit(Warned(f"{sums.NAME} lists {printable(name)}, which is not in {stick}"))
    there = {model: other.folder for model in chosen if (other := elsewhere(model))}
    already = [Trip(model, None) for model in there]
    first = run_trips(already, lambda trip: carried(trip, there[trip.model], "already", 0), emit, link)
    backup = None if named else without_missing_backup(found, emit).backup_models_dir
    carriers = [
        Carrier(path, "import", found.options, token, emit) for path in distinct(filter(None, (target, backup)))
    ]
    for carrier, trips in place_trips([model for model in chosen if model not in there], carriers, emit):
        here = folder_for(trips, carrier.folder, found, token, emit, named=named)
        with contextlib.nullcontext() if dry_run else here:
            failed = run_trips(trips, partial(_carry, carrier, dry_run), emit, link)
        first = first or failed
    return first


def _carry(carrier: Carrier, dry_run: bool, trip: Trip) -> Moved:
    """Carry the model, or only say so."""
    copied = trip.needs if dry_run else carrier.carry(trip.model)
    return replace(carried(trip, carrier.folder, "imported", copied), dry_run=dry_run)


def _link(
    model: InstalledModel, folder: Path, catalog: Catalog, targets: Sequence[str], token: CancelToken, emit: Emit
) -> LuciError | None:
    """Link the model, which is in the folder now, as an install does. Returns: the first error, which was emitted."""
    if not targets:
        return None
    from luci_dl.install.linking import link_installed  # not needed by most

    known = catalog.find(model.reference) or model_of(model)
    return link_installed(Plan(replace(known, reference=model.reference), folder), targets, token, emit)


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


def _is_sound(model: InstalledModel, token: CancelToken, emit: Emit) -> bool:
    """Whether the files have the bytes that were installed; those that a program touched are read."""
    return model.state == "ok" or not any(verdict.wrong for verdict in verify_unsure(model, token, emit))


def _installed_elsewhere(model: InstalledModel, found: Settings, folder: Folder) -> Iterator[InstalledModel]:
    """The same model where it is installed by size, if no folder to import into was named; those untouched first."""
    stick = identity(model.folder)
    folders = [] if folder is not None else [path for path in found.every_folder if identity(path) != stick]
    there = installed(folders)
    for state in ("ok", "touched"):
        yield from (each for each in there if each.state == state and each.digests == model.digests)
