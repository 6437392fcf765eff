"""`luci info` and `luci path`: what is known of one model, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luci_dl.api.config import Folder, Settings, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of
from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.catalog.catalog import load, load_for
from luci_dl.disk import target
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import REMEMBERED
from luci_dl.errors import IntegrityError, NetworkError, ResolveError, StorageError, UsageError
from luci_dl.events import Emit, Warned, ignore
from luci_dl.formats.gguf import Header
from luci_dl.frozen import frozen
from luci_dl.library.gguf_files import GgufFile, read_all
from luci_dl.library.installed import InstalledModel, installed, model_of
from luci_dl.library.lookup import Found, find_installed, is_reference, look_up, unknown
from luci_dl.library.partials import Partial, partials
from luci_dl.library.verify import verify_unsure
from luci_dl.machine.fit import CONTEXT, Load, this_machine
from luci_dl.model import Model
from luci_dl.text import printable

if TYPE_CHECKING:
    from luci_dl.api.repository import Quantisation

__all__ = ["CONTEXT", "REMEMBERED", "GgufFile", "Header", "Info", "Load", "Partial", "info", "path"]
__all__ += ["sound_model"]


@frozen
class Info:
    """Everything known of one model.

    Attributes:
        entry: its entry in the catalog.
        installed: one for each folder that has it.
        gguf: the header of each installed GGUF file.
        partials: unfinished downloads of it.
        running: what running it takes; None for what is no GGUF file, and where its size is unknown.
        quantisations: of a repository of the Hub: all its models, the smallest first.
    """

    name: str
    entry: Model | None
    installed: tuple[InstalledModel, ...]
    gguf: tuple[GgufFile, ...]
    partials: tuple[Partial, ...]
    running: Load | None = None
    quantisations: tuple[Quantisation, ...] = ()


def path(name: str, folder: Folder = None, *, token: CancelToken | None = None, emit: Emit = ignore) -> Path:
    """The installed file to load. It is read only if its mtime has changed.

    Args:
        emit: gets the progress then, and what cannot be read in the models folders.

    Raises: ResolveError, if it is not installed; IntegrityError, if it has changed since; UsageError; StorageError,
        also if it is not found, but something cannot be read; Interrupted.
    """
    with EmitGuard(token, emit) as guard:
        return sound_model(name, folder, guard.token, guard.emit).to_load.path


def sound_model(name: str, folder: Folder, token: CancelToken, emit: Emit) -> InstalledModel:
    """The installed model of that name, if none of its files has changed. Raises: as `path`."""
    found, problems = settings(folder), Problems(emit)
    with problems.explain():
        everything = installed(folders_of(found, folder, problems), problems)
        models = find_installed(name, load_for([name], found.catalog), everything)
    names = dict.fromkeys(model.to_load.receipt.name for model in models)
    if len(names) > 1:
        which = printable(", ".join(names))
        raise ResolveError(f'"{printable(name)}" is the name of {len(names)} files', f"Choose one of them: {which}")
    model = next((model for model in models if model.state == "ok"), models[0])
    _check_sound(model, found.models_dir, token, emit)
    return model


def _check_sound(model: InstalledModel, default: Path, token: CancelToken, emit: Emit) -> None:
    """Raises: IntegrityError, if a file is missing or has changed; StorageError, if it cannot be read; Interrupted."""
    if model.state == "ok":
        return
    where = "" if model.folder == default else f" --dir {printable(str(model.folder))}"
    hint = f"This checks and repairs it: luci install {printable(model.reference)}{where}"
    for name in model.lost:
        raise IntegrityError(f"{printable(str(model.folder / name))} is missing", hint)
    for file in model.files:
        staging = staging_for(model.folder, file.receipt.name, to_read=True)
        target.stat_of(staging)  # which says what stands there if it is no file
    for verdict in verify_unsure(model, token, emit):
        if verdict.state == "unreadable":
            raise StorageError(f"{printable(verdict.path)} cannot be read: {printable(verdict.found)}", hint)
        if verdict.wrong:
            what = "is missing" if verdict.state == "missing" else "has changed since luci installed it"
            raise IntegrityError(f"{printable(verdict.path)} {what}", hint)


def info(
    name: str,
    folder: Folder = None,
    *,
    context: int = CONTEXT,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> Info:
    """Everything known of one model, installed or not. What cannot be read is emitted.

    For `hf:OWNER/REPO` the Hub is asked what there is; if the model is installed, its silence is only a warning.

    Args:
        context: tokens that the model shall remember, which decides how large its cache is.

    Raises: ResolveError, if there is no such model; UsageError; StorageError, if it is not found, but something cannot
        be read; NetworkError; Interrupted.
    """
    if context < 1:
        raise UsageError(f"expected a number of tokens, found {context}", "For example: --context 32768")
    with EmitGuard(token, emit) as guard:
        found, problems = settings(folder), Problems(guard.emit)
        with problems.explain():
            folders, catalog = folders_of(found, folder, problems), load(found.catalog)
            models = installed(folders, problems)
            meant = look_up(name, catalog, models)
            begun = _begun(name, meant, partials(folders, problems))
            known = bool(meant or begun)
            there = _quantisations(name, found, models, context, guard, known=known)
            if not known and not there:
                raise unknown(name, catalog, models)
        files = [file.path for model in meant.installed for file in model.files if file.state != "missing"]
        headers = tuple(read_all(files))
        running = _running(meant, headers, context, guard.token)
        title = _title(meant, begun) if known else name
        return Info(title, meant.entry, meant.installed, headers, begun, running, there)


def _quantisations(
    name: str, settings: Settings, models: Sequence[InstalledModel], context: int, guard: EmitGuard, *, known: bool
) -> tuple[Quantisation, ...]:
    """Those of the repository that the name means; if the name is `known` without them, failures are only warnings."""
    if not is_reference(name):
        return ()
    from luci_dl.api.repository import no_gguf, quantisations_of  # what asks no server does without

    try:
        there = quantisations_of(name, settings, models, context, guard.token, guard.emit)
    except (NetworkError, ResolveError) as error:
        if not known:
            raise
        guard.emit(Warned(f"what else the repository has is unknown: {error.message}"))
        return ()
    if there == () and not known:
        raise no_gguf(name)
    return there or ()


def _running(found: Found, headers: Sequence[GgufFile], context: int, token: CancelToken) -> Load | None:
    """What running the model takes, with the cache that its header determines if it is installed."""
    from luci_dl.catalog.fit import load_of  # not for `path`

    model = model_of(found.installed[0]) if found.installed else found.entry
    if model is None:
        return None
    cache = next((file.header.cache for file in headers if file.header and file.header.cache), None)
    return load_of(model, run_cancellable(this_machine, token), cache, context)


def _begun(word: str, found: Found, begun: Sequence[Partial]) -> tuple[Partial, ...]:
    """The parts of the model; if it is unknown, those of the file that the word names."""
    names = {artifact.name for artifact in found.entry.artifacts} if found.entry else set()
    names.update(name for model in found.installed for name in model.names)
    if not found:
        names.update(partial.name for partial in begun if word in (partial.name, partial.name.rpartition("/")[2]))
    return tuple(partial for partial in begun if partial.name in names)


def _title(found: Found, begun: Sequence[Partial]) -> str:
    if found.entry:
        return found.entry.reference
    return found.installed[0].reference if found.installed else begun[0].name
