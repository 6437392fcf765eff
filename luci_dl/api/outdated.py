"""`luci outdated`: which installed models are no longer what their references name."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.api.config import Folder, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import load
from luci_dl.config.settings import Settings
from luci_dl.events import Emit, ignore
from luci_dl.install.outdated import Standing, compare
from luci_dl.install.servers import context_for
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.library.lookup import find_installed
from luci_dl.plan import Options

__all__ = ["Standing", "check", "models_named", "outdated"]


def outdated(
    *names: str,
    folder: Folder = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Standing]:
    """How installed models compare with what their references name now, as `luci outdated` shows. Usable in any thread.

    Args:
        names: of the catalog, addresses as they were installed, or files; none means all.
        folder: look only into this models folder.
        options: how to ask servers; by default with the settings of config.json.
        emit: gets what cannot be read in the models folders.

    Returns: one for each model; where a server could not be asked, its `error` is a NetworkError.
    Raises: ResolveError, for a name that is not installed; UsageError; StorageError, if nothing could be looked into;
        Interrupted; what `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        return check(names, folder, options, guard.token, guard.emit)


def check(
    names: Sequence[str], folder: Folder, options: Options | None, token: CancelToken, emit: Emit
) -> list[Standing]:
    """The same. Raises: as `outdated`."""
    found = settings(folder)
    models = models_named(names, found, folder, emit)
    return compare(models, found, context_for(found, options or found.options, token, ignore))


def models_named(names: Sequence[str], found: Settings, folder: Folder, emit: Emit) -> list[InstalledModel]:
    """The installed models that the names mean, each once; all without names. Raises: ResolveError; StorageError."""
    problems = Problems(emit)
    with problems.explain():
        everything, catalog = installed(folders_of(found, folder, problems), problems), load(found.catalog)
        named = [model for name in names for model in find_installed(name, catalog, everything)]
    if problems.first and not everything:
        raise problems.first
    return list(dict.fromkeys(named)) if names else everything
