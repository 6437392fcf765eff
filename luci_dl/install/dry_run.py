"""What an install would do: the actions that `inspect` decides on, and the room that they need. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luci_dl.disk import space
from luci_dl.disk.place import device_of, existing
from luci_dl.disk.storage_errors import no_room
from luci_dl.errors import Interrupted, LuciError
from luci_dl.events import DiskSpace, Emit, Failed, WouldInstall
from luci_dl.install.actions import Action, Adopt, Copy, Fetch, Keep, Refuse, Wait
from luci_dl.install.context import InstallContext
from luci_dl.install.free_space import how_to_free_space
from luci_dl.install.inspect import Inspector, read_only_look
from luci_dl.install.pending import pending
from luci_dl.install.too_large import warn_if_too_large
from luci_dl.model import Model
from luci_dl.plan import Plan
from luci_dl.sources.base import source_of


def dry_run(plans: Sequence[Plan], context: InstallContext) -> int:
    """Emit what an install would do about each file, and whether there is room for all.

    Returns: the exit code that the install would have, as far as that is known. Raises: Interrupted.
    """
    emit, codes = context.emit, []
    fetches: dict[int, list[tuple[Fetch, Path]]] = {}  # with their models folders, by file system
    for plan in plans:
        inspector = Inspector(plan.folder, context, read_only_look(plan.folder, context), ask_sizes=True)
        try:
            actions = pending(plan.folder, plan.artifacts) or inspector.actions(plan.artifacts)
            if any(isinstance(action, Fetch) for action in actions):
                warn_if_too_large(plan.model, context)
            for action in actions:
                emit(_would_install(action, plan))
                if isinstance(action, Fetch):
                    device = device_of(action.target.parent)
                    fetches.setdefault(device, []).append((action, plan.folder))
        except Interrupted:
            raise
        except LuciError as error:
            codes.append(_failed(plan.reference, error, emit))
    codes += [_check_room(each, context.options.min_free, emit) for each in fetches.values()]
    return next(filter(None, codes), 0)


def _would_install(action: Action, plan: Plan) -> WouldInstall:
    """Raises: why the file is refused."""
    artifact, source = action.artifact, action.copies[0] if isinstance(action, Copy) else None
    digest = artifact.best_hex
    was_known = any(known.name == artifact.name and known.provable for known in plan.artifacts)
    return WouldInstall(
        reference=plan.reference,
        name=artifact.name,
        path=str(action.target),
        action=_word(action),
        urls=artifact.urls,
        size=source.size if source else artifact.size,
        proof=artifact.proof,
        digest=digest,
        digest_origin=(_digest_origin(plan.model) if was_known else "server") if digest else "",
        done=action.resumed if isinstance(action, Fetch) else 0,
        copy_path=str(source.path) if source else "",
        copy_location=source.where if source else "",
        lock_holder=action.lock_holder if isinstance(action, Wait) else "",
    )


def _word(action: Action) -> str:
    match action:
        case Refuse():
            raise action.error
        case Adopt():
            return "adopt"
        case Keep():
            return "already" if action.found.state == "installed" else action.found.state
        case Copy():
            return "copy"
        case Fetch():
            return "resume" if action.resumed else "download"
    return "wait" if isinstance(action, Wait) else "complete"


def _digest_origin(model: Model) -> str:
    """Where a digest that was known beforehand is from."""
    if "sha256" in model.asked:
        return "user"
    source = source_of(model.reference)
    return source.DIGEST_ORIGIN if source else "catalog"


def _check_room(fetches: Sequence[tuple[Fetch, Path]], min_free: int, emit: Emit) -> int:
    """Of one file system. Returns: the exit code."""
    first, models_dir = fetches[0]
    folder = existing(first.target.parent)
    needed, free = sum(fetch.needs for fetch, _ in fetches), space.free_bytes(folder)
    at_least = any(fetch.artifact.size is None and not isinstance(fetch, Copy) for fetch, _ in fetches)
    enough = free is None or free >= needed + min_free
    emit(DiskSpace(str(folder), needed, at_least, free, min_free, enough))
    if free is None or enough:
        return 0
    hint = how_to_free_space(models_dir)
    return _failed("", no_room(f"these files in {folder}", needed, free, min_free, at_least=at_least, hint=hint), emit)


def _failed(reference: str, error: LuciError, emit: Emit) -> int:
    emit(Failed(reference, error.message, error.hint, error.exit_code))
    return error.exit_code
