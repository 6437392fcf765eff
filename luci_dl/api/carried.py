"""What `move`, `export_models` and `import_models` have in common: they return events, and raise the first error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import remembered
from luci_dl.cancel import CancelToken
from luci_dl.config.settings import Settings
from luci_dl.disk import fs
from luci_dl.disk.layout import staging_folder
from luci_dl.errors import LuciError
from luci_dl.events import Emit, Event, Moved
from luci_dl.library.installed import model_of
from luci_dl.plan import Plan
from luci_dl.transport.trips import Trip


class Noted(EmitGuard):
    """An `EmitGuard` that keeps the events of what was `carried`."""

    def __init__(self, token: CancelToken | None, emit: Emit) -> None:
        self.carried: list[Moved] = []

        def note(event: Event) -> None:
            if isinstance(event, Moved):
                self.carried.append(event)
            emit(event)

        super().__init__(token, note)

    def check(self, error: LuciError | None) -> None:
        """Raises: the error, if there is one."""
        if error:
            raise error


@contextlib.contextmanager
def folder_for(
    trips: Sequence[Trip], target: Path, found: Settings, token: CancelToken, emit: Emit, *, named: bool
) -> Iterator[None]:
    """Make the folder and remember it while the block carries models into it; afterwards only if luci has files there.

    It is made first: one that is remembered and missing counts as a disk that is not mounted.

    Args: `named`: as of `remembered`. Raises: StorageError; Interrupted.
    """
    made = fs.make_folder(staging_folder(target))

    def remove_empty() -> None:
        for folder in reversed(made):
            fs.remove_empty(folder)

    with contextlib.ExitStack() as stack:
        stack.callback(remove_empty)
        plans = [Plan(model_of(trip.model), target) for trip in trips]
        stack.enter_context(remembered(found, plans, token, emit, named=named))
        stack.callback(remove_empty)  # before it may be forgotten
        yield


def carried(trip: Trip, folder: Path, outcome: str, copied: int | None) -> Moved:
    """The event for a model that is in the folder now; `outcome` if it was not there already."""
    model = trip.model
    paths = tuple(str(folder / name) for name in model.names)
    outcome = "already" if trip.needs is None else outcome
    return Moved(model.reference, paths, str(model.folder), str(folder), outcome, model.size, copied or 0, False)
