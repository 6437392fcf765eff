"""`luci clean`: what interrupted and crashed downloads left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from luci_dl.api.config import Folder, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import Problems, folders_of, forget_if_empty, missing_folder
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import Catalog, load
from luci_dl.disk.layout import staging_for
from luci_dl.disk.same_folder import identity
from luci_dl.errors import StorageError
from luci_dl.events import CleanSummary, Emit, ignore
from luci_dl.library import clean as library
from luci_dl.library.clean import Report, staged_names
from luci_dl.library.installed import installed
from luci_dl.library.links.follow import settle_all
from luci_dl.library.links.place import has_links
from luci_dl.library.lookup import look_up, targets_of, unknown

__all__ = ["Report", "clean", "staging_for"]


def clean(
    *names: str,
    folder: Folder = None,
    dry_run: bool = False,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> Report:
    """Complete installs that a crash interrupted, then remove orphans. Usable in any thread.

    Args:
        names: only of these models or files.
        folder: the models folder; by default every one that the command line knows.

    Returns: what was removed (or would be, in a dry run), and the bytes that it freed.
    Raises: ResolveError, for an unknown name; UsageError; StorageError, if something cannot be read where that name may
        be; Interrupted; what `emit` raised.
    """
    found, total = settings(folder), Report(0, 0, 0)
    with EmitGuard(token, emit) as guard:
        problems = Problems(guard.emit)
        with problems.explain():
            folders = [path for path in folders_of(found, folder, problems) if not _is_missing(path)]
            targets = _targets(names, load(found.catalog), folders, problems) if names else None
        for path in folders:
            was_used = identity(path) in map(identity, found.folders) and not missing_folder(found, path)
            total += _clean(path, targets, dry_run, problems, guard)
            if was_used and not dry_run:
                forget_if_empty(found, path)
        if not (dry_run or names) and has_links():
            settle_all(guard.token, guard.emit)
        total += Report(0, 0, 0, failed=len(problems))
        guard.emit(CleanSummary(total.removed, total.freed, total.left_alone, dry_run))
    return total


def _clean(
    folder: Path, targets: Collection[str] | None, dry_run: bool, problems: Problems, guard: EmitGuard
) -> Report:
    """Clean one folder. Raises: Interrupted."""
    try:
        return library.clean(folder, targets, dry_run, guard.token, guard.emit)
    except StorageError as error:
        problems(folder, error)
        return Report(0, 0, 0)


def _is_missing(folder: Path) -> bool:
    """False for a folder that cannot be examined: cleaning it gives the reason."""
    try:
        folder.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _targets(names: Sequence[str], catalog: Catalog, folders: Sequence[Path], problems: Problems) -> Collection[str]:
    """The target names that the words mean: in the catalog, of installed models, or of staging files."""
    models = installed(folders, problems)
    staged = {name for folder in folders for name in staged_names(folder, problems)}
    targets: set[str] = set()
    for word in names:
        meant = look_up(word, catalog, models)
        found = {artifact.name for artifact in meant.entry.artifacts} if meant.entry else set()
        found.update(name for model in meant.installed for name in model.names)
        found.update(name for name in staged if word in (name, name.rpartition("/")[2]))
        found.update(staged.intersection(targets_of(word)))
        if not found:
            raise unknown(word, catalog, models, "`luci clean` without names cleans all.")
        targets |= found
    return targets
