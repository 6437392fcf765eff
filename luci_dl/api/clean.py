"""`luci clean`: what interrupted and crashed downloads left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from luci_dl.api.config import Folder, folders_of, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import Catalog, load
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import ignore
from luci_dl.events import CleanSummary, Emit
from luci_dl.library import clean as library
from luci_dl.library.clean import Report, staged_names
from luci_dl.library.installed import installed
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
    Raises: ResolveError, for an unknown name; UsageError; StorageError; Interrupted; what `emit` raised.
    """
    found = settings(folder)
    folders = [path for path in folders_of(found, folder) if not _is_missing(path)]
    targets = _targets(names, load(found.catalog), folders) if names else None
    total = Report(0, 0, 0)
    with EmitGuard(token, emit) as guard:
        for path in folders:
            total += library.clean(path, targets, dry_run, guard.token, guard.emit)
        guard.emit(CleanSummary(total.removed, total.freed, total.left_alone, dry_run))
    return total


def _is_missing(folder: Path) -> bool:
    """False for a folder that cannot be examined: cleaning it gives the reason."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _targets(names: Sequence[str], catalog: Catalog, folders: Sequence[Path]) -> Collection[str]:
    """The target names that the words mean: in the catalog, of installed models, or of staging files."""
    models = installed(folders)
    staged = {name for folder in folders for name in staged_names(folder)}
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
