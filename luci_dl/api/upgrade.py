"""`luci outdated` and `luci upgrade`: what is no longer what its reference names, and its replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.api.config import Folder, Settings, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import load
from luci_dl.errors import LuciError, ResolveError
from luci_dl.events import Emit, Warned, ignore
from luci_dl.install.batch import Outcome, exit_code
from luci_dl.install.context import InstallContext
from luci_dl.install.dry_run import dry_run
from luci_dl.install.outdated import Standing, standings
from luci_dl.install.servers import context_for
from luci_dl.install.upgrade import plans_of, upgrade_models
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.library.lookup import find_installed
from luci_dl.plan import Options, Plan
from luci_dl.text import printable

__all__ = ["Outcome", "Standing", "exit_code", "forecast", "look", "outdated", "plans_of", "upgrade", "upgrade_all"]


def outdated(
    *names: str,
    folder: Folder = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Standing]:
    """How installed models compare with what their references name now, as `luci outdated` shows it.

    Args:
        names: of the catalog, references as they were installed, or files; none means all.
        folder: look only into this models folder.
        options: how to ask servers; by default with the settings of config.json.

    Returns: one for each model; where a server could not be asked, with the `error`.
    Raises: ResolveError, for a name that is not installed; UsageError; StorageError; Interrupted; what `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        return look(names, folder, options, guard.token, guard.emit)[0]


def look(
    names: Sequence[str], folder: Folder, options: Options | None, token: CancelToken, emit: Emit
) -> tuple[list[Standing], InstallContext]:
    """The same, and what the servers were asked with."""
    found = settings(folder)
    context = context_for(found, options or found.options, token, emit)
    return standings(_models(names, folder, found, emit), found, context), context


def _models(names: Sequence[str], folder: Folder, found: Settings, emit: Emit) -> list[InstalledModel]:
    problems = Problems(emit)
    with problems.explain():
        everything = installed(folders_of(found, folder, problems), problems)
        if not names:
            return everything
        catalog = load(found.catalog)
        return list(dict.fromkeys(each for name in names for each in find_installed(name, catalog, everything)))


def upgrade(
    *names: str,
    folder: Folder = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Path]:
    """Install outdated models again, as `luci upgrade NAME...` does; without names all of them.

    Args: as of `outdated`.

    Returns: the paths of all files that were installed. Raises: the first LuciError, when all else is done; as
        `outdated`; what `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        found, context = look(names, folder, options, guard.token, guard.emit)
        outcomes, error = upgrade_all(found, context, named=bool(names))
        error = next((outcome.error for outcome in outcomes if outcome.error), None) or error
        if error:
            raise error
        guard.token.check()
        return [Path(path) for outcome in outcomes if outcome.installed for path in outcome.installed.paths]


def forecast(plans: Sequence[Plan], context: InstallContext) -> int:
    """Emit what installing these would do. Returns: the exit code that it would have. Raises: Interrupted."""
    return dry_run(plans, context)


def upgrade_all(
    found: Sequence[Standing], context: InstallContext, *, named: bool
) -> tuple[list[Outcome], LuciError | None]:
    """Upgrade those that are outdated, and report why others are not.

    Args:
        named: the user named the models, so it is an error if one cannot be upgraded.

    Returns: the outcomes, and the error about the first model that cannot be upgraded.
    """
    first: LuciError | None = None
    for each in found:
        name = printable(each.model.reference)
        if each.state == "pinned":
            context.emit(Warned(f"{name} stays as it is: {each.reason}"))
        elif each.state in ("gone", "unknown"):
            what = "is gone" if each.state == "gone" else "cannot be compared"
            error = each.error or ResolveError(f"{name} {what}: {each.reason}", "What is installed stays.")
            context.emit(Warned(f"{name} {what}: {each.reason}"))
            first = first or (error if named or each.error else None)
    work = replace(context, options=replace(context.options, adopt=True))
    return upgrade_models(found, work), first
