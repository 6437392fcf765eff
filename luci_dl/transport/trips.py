"""Several models: the room for all before the first byte, then one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from luci_dl.disk import space
from luci_dl.disk.filesystems import file_system
from luci_dl.disk.place import device_of, existing
from luci_dl.disk.storage_errors import no_room
from luci_dl.errors import CannotHold, Interrupted, LockedError, LuciError, StorageError
from luci_dl.events import Emit, Failed, FallbackFolderUsed, Moved
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledModel
from luci_dl.library.running import running
from luci_dl.text import printable
from luci_dl.transport.carry import Carrier


@frozen
class Trip:
    """A model to carry, and the bytes that have to be copied for that; None if all of it is there already."""

    model: InstalledModel
    needs: int | None


def plan_trips(models: Sequence[InstalledModel], carrier: Carrier) -> list[Trip]:
    """What carrying the models needs, all checks made.

    Raises: as `Carrier.missing`; NoRoom, when the new place cannot hold all of it; LockedError, when one of the models
        is being installed.
    """
    trips = []
    for model in models:
        _check_idle(model, carrier.folder)
        missing = carrier.missing(model)
        size = sum(file.receipt.size for file in missing)
        trips.append(Trip(model, None if not missing else 0 if _costs_nothing(model, carrier) else size))
    needed = sum(trip.needs or 0 for trip in trips)
    free = space.free_bytes(existing(carrier.folder)) if needed else None
    if free is not None and free < needed + carrier.options.min_free:
        hint = "Free some space there, or choose another folder."
        raise no_room(f"what is missing in {carrier.folder}", needed, free, carrier.options.min_free, hint=hint)
    return trips


def run_trips(
    trips: Sequence[Trip],
    carry: Callable[[Trip], Moved],
    emit: Emit,
    then: Callable[[Trip, Moved], LuciError | None] = lambda _trip, _moved: None,
) -> LuciError | None:
    """Carry the models one after the other. A full or failing disk ends that, other failures do not.

    Args:
        then: called with each that was carried; returns an error that it has emitted.

    Returns: the first error; each was emitted. Raises: Interrupted.
    """
    first: LuciError | None = None
    for trip in trips:
        try:
            moved = carry(trip)
            emit(moved)
            error = then(trip, moved)
            first = first or error
        except Interrupted:
            raise
        except LuciError as failure:
            emit(Failed(trip.model.reference, failure.message, failure.hint, failure.exit_code))
            first = first or failure
            if isinstance(failure, StorageError):
                break
    return first


def _costs_nothing(model: InstalledModel, carrier: Carrier) -> bool:
    """Whether the files can get second names, or share their blocks."""
    if device_of(model.folder) != device_of(carrier.folder):
        return False
    on = file_system(existing(carrier.folder))
    return on is not None and (carrier.verb == "move" or on.shares_blocks)


def _check_idle(model: InstalledModel, folder: Path) -> None:
    """Raises: LockedError, when a process works on a file of the model, here or there."""
    for run in running([model.folder, folder]):
        if not set(run.names).isdisjoint(model.names):
            message = f"{model.reference} is in use by {run.description}"
            raise LockedError(printable(message), "Interrupt that, or wait until it is done.")


def place_trips(
    models: Sequence[InstalledModel], carriers: Sequence[Carrier], emit: Emit
) -> list[tuple[Carrier, list[Trip]]]:
    """What is carried to each place: to the second one, if there is one, what the first cannot hold, with an event.

    Raises: as `plan_trips`.
    """
    first, *others = carriers
    try:
        return [(first, plan_trips(models, first))]
    except CannotHold:
        if not others:
            raise
    kept: list[InstalledModel] = []
    refused: dict[InstalledModel, CannotHold] = {}
    for model in models:
        try:
            plan_trips([*kept, model], first)
            kept.append(model)
        except CannotHold as why:
            refused[model] = why
    placed = [
        (carrier, plan_trips(mine, carrier)) for carrier, mine in ((first, kept), (others[0], list(refused))) if mine
    ]
    for model, error in refused.items():
        emit(FallbackFolderUsed(model.reference, str(others[0].folder), error.message))
    return placed
