"""Chooses the folder of each model: the first one, or the backup if the first cannot hold it. Never parts in both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luci_dl.disk import space
from luci_dl.disk.filesystems import file_system
from luci_dl.disk.layout import Layout
from luci_dl.disk.place import Places, device_of, existing
from luci_dl.disk.same_folder import distinct
from luci_dl.disk.storage_errors import no_room
from luci_dl.errors import CannotHold, LuciError, NoRoom
from luci_dl.events import FallbackFolderUsed
from luci_dl.frozen import frozen
from luci_dl.install.actions import Fetch
from luci_dl.install.context import InstallContext
from luci_dl.install.free_space import how_to_free_space
from luci_dl.install.inspect import quick_inspect
from luci_dl.model import Artifact, Model
from luci_dl.plan import Options, Plan


@frozen
class Need:
    """What a model still needs in one folder.

    Attributes:
        bytes: of disk; files that are there and bytes of kept parts do not count.
        missing: its files that are not there, or not complete.
        begun: something of it is there, installed or kept.
        refused: why none of it can be there.
    """

    bytes: int = 0
    missing: tuple[Artifact, ...] = ()
    begun: bool = False
    refused: CannotHold | None = None


class Placement:
    """Places models one after the other; each counts as room taken for the next ones.

    Args:
        first: the models folder; backup: the one for what it cannot hold.
    """

    def __init__(self, first: Path, backup: Path | None, context: InstallContext) -> None:
        self._folders = distinct(filter(None, (first, backup)))
        self._options = context.options
        self._copies = context.copies
        self._emit = context.emit
        self._taken: dict[int, int] = {}  # by file system

    def plans(self, models: Sequence[Model]) -> list[Plan]:
        """Where each model goes. Emits an event if that is the backup folder for lack of room.

        Raises: CannotHold, if one cannot go anywhere: of several, it says what they need and which would fit.
        """
        tried = self.tried(models)
        errors = [error for _, error in tried if error]
        if len(models) > 1 and errors:
            raise self._no_room_for_all(models, [plan.reference for plan, error in tried if not error], errors[0])
        if errors:
            raise errors[0]
        return [plan for plan, _ in tried]

    def tried(self, models: Sequence[Model]) -> list[tuple[Plan, CannotHold | None]]:
        """The same; a model that cannot go anywhere gets the first folder, and the error of that one."""
        return [self._place(model) for model in models]

    def _place(self, model: Model) -> tuple[Plan, CannotHold | None]:
        needs = {folder: need_of(model, folder, self._options) for folder in self._folders}
        refused: dict[Path, CannotHold] = {}
        for folder in sorted(needs, key=lambda folder: not needs[folder].begun):
            try:
                self._take(model, folder, needs[folder])
            except CannotHold as error:
                refused[folder] = error
                continue
            if self._folders[0] in refused:
                self._emit(FallbackFolderUsed(model.reference, str(folder), refused[self._folders[0]].message))
            others = [other for other in needs if other != folder and other not in refused]
            return Plan(model, folder, others[0] if others else None), None
        return Plan(model, self._folders[0]), refused[self._folders[0]]

    def _take(self, model: Model, folder: Path, need: Need) -> None:
        """Count the model's room as taken in the folder. Raises: CannotHold."""
        parent = existing(folder)
        device, on = device_of(parent), file_system(parent)
        if need.refused:
            raise need.refused
        layout, places = Layout(folder), Places()
        for artifact in need.missing if len(self._folders) > 1 else ():
            places.check(layout.staging(artifact.name), artifact.size)
        space.check_limit(model.reference, max((artifact.size or 0 for artifact in need.missing), default=0), on)
        taken = self._taken.get(device, 0)
        free = space.free_bytes(parent)
        if need.bytes and free is not None and free - taken < need.bytes + self._options.min_free:
            if on and on.shares_blocks and self._has_copies(model, folder, device):
                return
            what, hint = f"{model.reference} in {folder}", how_to_free_space(folder)
            raise no_room(what, need.bytes, max(0, free - taken), self._options.min_free, hint=hint)
        self._taken[device] = taken + need.bytes

    def _has_copies(self, model: Model, folder: Path, device: int) -> bool:
        """Whether each file can share the blocks of a copy on the same file system: then it needs no room."""
        found = [self._copies.find(artifact, folder / artifact.name) for artifact in model.artifacts]
        return all(copies and device_of(copies[0].path) == device for copies in found)

    def _no_room_for_all(self, models: Sequence[Model], fitting: Sequence[str], error: CannotHold) -> CannotHold:
        if not isinstance(error, NoRoom):
            return error
        needed = sum(need_of(model, self._folders[0], self._options).bytes for model in models)
        free = {device_of(parent): space.free_bytes(parent) for parent in map(existing, self._folders)}
        fit = f"These would fit: {', '.join(fitting)}.\n" if fitting else ""
        what = f"all {len(models)} models in {' and '.join(map(str, self._folders))}"
        hint = fit + how_to_free_space(self._folders[0])
        return no_room(what, needed, sum(filter(None, free.values())), self._options.min_free, hint=hint)


def need_of(model: Model, folder: Path, options: Options) -> Need:
    """What the model still needs in the folder, by names, sizes and receipts alone."""
    try:
        actions = quick_inspect(folder, model.artifacts, options)
    except CannotHold as error:
        return Need(refused=error)
    except LuciError:  # the install will say what is wrong with the folder
        return Need()
    fetches = [action for action in actions if isinstance(action, Fetch)]
    return Need(
        sum(action.needs for action in fetches),
        tuple(action.artifact for action in fetches),
        begun=len(fetches) < len(actions) or any(action.begun for action in fetches),
    )
