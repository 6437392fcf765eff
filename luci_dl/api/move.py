"""`luci move`, `export` and `import`: installed models in another folder, on a stick, or from one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from luci_dl.api.config import Folder, Settings, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of, missing_folder, remembered
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import load
from luci_dl.disk import fs
from luci_dl.disk.layout import staging_folder
from luci_dl.disk.same_folder import identity
from luci_dl.environment import parse_path
from luci_dl.errors import IntegrityError, ResolveError, StorageError, UsageError
from luci_dl.events import Emit, Moved, ignore
from luci_dl.install import relocation, stick
from luci_dl.install.context import InstallContext
from luci_dl.install.dry_run import dry_run as forecast
from luci_dl.install.relocation import Relocation, context_of
from luci_dl.install.servers import context_for
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.library.lookup import find_installed
from luci_dl.plan import Plan
from luci_dl.text import nearest, printable

__all__ = ["export_models", "import_models", "move"]


def move(
    *names: str,
    to: Folder,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Moved]:
    """Move installed models to another models folder, as `luci move NAME... --to DIR` does.

    At every moment there is at least one whole copy of each.

    Args:
        names: of the catalog, references as they were installed, or files.
        to: the other folder, which is remembered.
        folder: move only from this models folder.
        dry_run: change nothing, and emit what would be done.

    Returns: what was moved. Raises: ResolveError, for a model that is not installed; IntegrityError, for one that has
        changed; LockedError, for one that somebody works on; StorageError; Interrupted; what `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        found, target = settings(folder), _folder(to, "--to")
        if error := missing_folder(found, target):
            raise error
        context = context_for(found, found.options, guard.token, guard.emit)
        models = [_one(name, folder, found, target, guard.emit) for name in names]
        if dry_run:
            _forecast([Relocation.of(model, target) for model in models], context)
            return []
        plans = [Plan(Relocation.of(model, target).model, target) for model in models]
        with _made(target), remembered(found, plans, guard.token, guard.emit, named=True):
            return [
                _emitted(
                    Relocation.of(model, target),
                    partial(relocation.move, model, target, context),
                    "moved",
                    guard.emit,
                )
                for model in models
            ]


def export_models(
    *names: str,
    to: Folder,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Moved]:
    """Copy installed models to a stick, as `luci export NAME... DIR` does, with receipts and a SHA256SUMS.

    Args: as of `move`; the folder `to` is not remembered. Returns: what was exported. Raises: as `move`.
    """
    with EmitGuard(token, emit) as guard:
        found, target = settings(folder), _folder(to, "the folder")
        context = context_for(found, found.options, guard.token, guard.emit)
        models = [_one(name, folder, found, target, guard.emit) for name in names]
        relocations = [Relocation.of(model, target) for model in models]
        if dry_run:
            _forecast(relocations, context)
            return []
        return [
            _emitted(each, partial(stick.export, model, target, context), "exported", guard.emit)
            for each, model in zip(relocations, models, strict=True)
        ]


def import_models(
    source: Folder,
    *names: str,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Moved]:
    """Install models from a stick, as `luci import DIR [NAME...]` does. No server is asked.

    Args:
        source: the folder; every file is proved by the digest that its receipt or the SHA256SUMS there has.
        names: which models; none means all.
        folder: the models folder.
        dry_run: change nothing, and emit what would be done.

    Returns: what was imported. Raises: ResolveError, for a model that is not there; IntegrityError, for wrong bytes, an
        invalid receipt or SHA256SUMS; LockedError; StorageError; Interrupted; what `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        found, place = settings(folder), _folder(source, "the folder")
        if error := missing_folder(found, found.models_dir):
            raise error
        everything = stick.models_on(place, found.models_dir, load(found.catalog))
        relocations = _chosen(everything, names, place)
        context = context_for(found, found.options, guard.token, guard.emit)
        if dry_run:
            _forecast(relocations, context)
            return []
        plans = [each.plan for each in relocations]
        with remembered(found, plans, guard.token, guard.emit, named=folder is not None):
            return [
                _emitted(
                    each,
                    partial(relocation.copy, each, context_of(each, context)),
                    "imported",
                    guard.emit,
                )
                for each in relocations
            ]


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a models folder, before it is remembered; remove it if nothing is in it afterwards. Raises: StorageError."""
    made = fs.make_folder(staging_folder(folder))
    try:
        yield
    finally:
        for each in reversed(made):
            with contextlib.suppress(StorageError):
                fs.remove_empty(each)


def _folder(given: Folder, what: str) -> Path:
    if given is None or not str(given).strip():
        raise UsageError(f"{what} is missing", "Give the path of a folder.")
    return parse_path(str(given), what, Path())


def _one(name: str, folder: Folder, found: Settings, target: Path, emit: Emit) -> InstalledModel:
    """The one model that the name means, and that is not in the target already, if there are several.

    Raises: ResolveError; IntegrityError, when it is not whole.
    """
    problems = Problems(emit)
    with problems.explain():
        everything = installed(folders_of(found, folder, problems), problems)
        models = find_installed(name, load(found.catalog), everything)
    elsewhere = [model for model in models if identity(model.folder) != identity(target)] or list(models)
    if len({(model.folder, model.reference) for model in elsewhere}) > 1:
        places = ", ".join(f"{model.reference} in {model.folder}" for model in elsewhere)
        raise ResolveError(f"{printable(name)} means several models: {printable(places)}", "Choose one with --dir.")
    model = elsewhere[0]
    if model.state == "missing" and not _is_whole(model, target):
        hint = f"Install it again: luci install {model.reference}"
        raise IntegrityError(f"{printable(model.reference)} is not whole in {model.folder}", hint)
    return model


def _is_whole(model: InstalledModel, folder: Path) -> bool:
    """Whether the folder has all of that model, which an earlier move did not remove everywhere else."""
    there = [each for each in installed([folder]) if (each.reference, each.names) == (model.reference, model.names)]
    return any(each.state == "ok" for each in there)


def _chosen(everything: Sequence[Relocation], names: Sequence[str], place: Path) -> list[Relocation]:
    """Raises: ResolveError."""
    found: list[Relocation] = []
    for name in names:
        meant = stick.chosen(everything, name)
        if not meant:
            there = [each.model.reference for each in everything]
            near = nearest(name, there, 1)
            guess = f"; did you mean {printable(near[0])}?" if near else ""
            listed = ", ".join(there[:10]) or "no models"
            raise ResolveError(f"{place} has no model {printable(name)}{guess}", f"It has {printable(listed)}.")
        found += meant
    if not everything:
        raise ResolveError(
            f"{place} has no models that can be imported",
            "It needs receipts, as luci export writes them, or a SHA256SUMS. For single files: luci install --from",
        )
    return list({id(each): each for each in (found or everything)}.values())


def _forecast(relocations: Sequence[Relocation], context: InstallContext) -> None:
    for each in relocations:
        forecast([each.plan], context_of(each, context))


def _emitted(relocated: Relocation, work: Callable[[], bool], outcome: str, emit: Emit) -> Moved:
    """Do the work, and emit what it did."""
    done = work()
    size = relocated.model.size or 0
    event = Moved(
        relocated.model.reference, relocated.paths, str(relocated.source), size, outcome if done else "already"
    )
    emit(event)
    return event
