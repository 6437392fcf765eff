"""`luci export`: models onto a stick, for machines without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.api.carried import Noted, carried
from luci_dl.api.config import Folder, settings
from luci_dl.api.info import sound_model
from luci_dl.cancel import CancelToken
from luci_dl.disk.storage_errors import advice
from luci_dl.errors import CannotHold, IntegrityError, LuciError, StorageError
from luci_dl.events import Emit, ExportSummary, Moved, ignore
from luci_dl.library.installed import check_unchanged
from luci_dl.transport import sums
from luci_dl.transport.carry import Carrier
from luci_dl.transport.trips import Trip, plan_trips, run_trips

_REPLACED = frozenset(("missing", "damaged", "newer", "elsewhere"))
"""What an export replaces on the stick, beside what is missing: an earlier version."""
_WHAT_TO_DO = "Is the disk still there, and sound? What has its final name there is whole; export the rest again."


def export_models(
    *names: str,
    to: str | Path,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Moved]:
    """Copy installed models to a folder, as `luci export NAME... DIR` does. Usable in any thread.

    The folder is a models folder then, with a SHA256SUMS beside the models; it is not remembered.

    Args:
        names: of the catalog, references as they were installed, or files.
        to: the folder, which is made if the one above it exists.
        folder: export only from this models folder.
        dry_run: change nothing.

    Returns: what was exported (or would be), or was there already. Raises: ResolveError, for a model that is not
        installed; IntegrityError, for one that has changed; CannotHold, where the folder's file system cannot hold a
        file; LockedError; StorageError; Interrupted; what `emit` raised.
    """
    with Noted(token, emit) as noted:
        noted.check(export_all(names, to, folder, noted.token, noted.emit, dry_run=dry_run))
    return noted.carried


def export_all(
    names: Sequence[str], to: str | Path, folder: Folder, token: CancelToken, emit: Emit, *, dry_run: bool
) -> LuciError | None:
    """Export the models, or emit what that would do. Returns: the first error, emitted. Raises: as `export_models`."""
    found, target = settings(folder), settings(to).models_dir
    if not target.parent.is_dir():
        raise StorageError(f"{target.parent} does not exist", "Is the stick mounted? Only the last folder is made.")
    options = replace(found.options, min_free=0)  # a stick may be filled
    carrier = Carrier(target, "export", options, token, emit, _REPLACED)
    models = dict.fromkeys(sound_model(name, folder, token, emit) for name in names)
    with advice("Use another disk, or format this one as exFAT, which holds large files.", CannotHold):
        trips = plan_trips(list(models), carrier)

    def carry(trip: Trip) -> Moved:
        try:
            with advice(_WHAT_TO_DO):
                return carried(trip, target, "exported", carrier.carry(trip.model))
        except (IntegrityError, StorageError):
            check_unchanged(trip.model)
            raise

    if dry_run:
        return run_trips(trips, lambda trip: replace(carried(trip, target, "exported", trip.needs), dry_run=True), emit)
    first = run_trips(trips, carry, emit)
    if not isinstance(first, StorageError):
        with advice(_WHAT_TO_DO):
            files, size = sums.update(target)
        if files:
            emit(ExportSummary(str(target), files, size, str(target / sums.NAME)))
    return first
