"""Which models folders there are: those to look into, those to remember, those whose disk is not mounted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from luci_dl.api.config import Folder
from luci_dl.cancel import CancelToken
from luci_dl.config.edit import forget_folder, remember_folder
from luci_dl.config.settings import Settings
from luci_dl.disk.layout import staging_folder
from luci_dl.disk.same_folder import distinct, identity
from luci_dl.errors import StorageError, UsageError
from luci_dl.events import Emit, Warned, ignore
from luci_dl.library.problems import Problems, missing, unreadable
from luci_dl.plan import Plan

__all__ = ["Problems", "folders_of", "forget_if_empty", "missing_folder", "remembered", "without_missing_backup"]


def folders_of(settings: Settings, folder: Folder, problems: Problems) -> list[Path]:
    """Where to look for models: the folder that was named, else every one that was ever used, each once.

    What is missing or cannot be read goes to `problems`. Raises: StorageError, if none of them can be read.
    """
    folders = distinct([settings.models_dir] if folder is not None else settings.every_folder)
    bad = {each: error for each in folders if (error := unreadable(each))}
    if len(bad) == len(folders):
        raise bad[folders[0]]
    for each in folders:
        if error := bad.get(each) or missing_folder(settings, each):
            problems(each, error)
    return [each for each in folders if each not in bad]


def missing_folder(settings: Settings, folder: Path) -> StorageError | None:
    """The problem if luci has installed into the folder and none of it is there now."""
    return missing(folder) if identity(folder) in map(identity, settings.folders) else None


def without_missing_backup(settings: Settings, emit: Emit) -> Settings:
    """The settings, without the backup folder if that is missing: it must not be created again. Warns about it."""
    backup = settings.backup_models_dir
    if backup and (error := missing_folder(settings, backup)):
        emit(Warned(f"{error.message}, so nothing is installed there. {error.hint}"))
        return replace(settings, backup_models_dir=None)
    return settings


@contextlib.contextmanager
def remembered(
    settings: Settings, plans: Iterable[Plan], token: CancelToken, emit: Emit, *, named: bool
) -> Iterator[None]:
    """Remember the folders while the block installs into them, and afterwards those that luci has files in.

    Args:
        named: the user named the folder; warn if it cannot be remembered.

    Raises: Interrupted.
    """
    folders = dict.fromkeys(path for plan in plans for path in (plan.folder, plan.backup) if path)
    new = [folder for folder in folders if _remember(settings, folder, token, emit if named else ignore)]
    try:
        yield
    finally:
        for folder in new:
            forget_if_empty(settings, folder)


def _remember(settings: Settings, folder: Path, token: CancelToken, emit: Emit) -> bool:
    """Returns: whether the folder was not remembered before. Raises: Interrupted."""
    try:
        return remember_folder(settings, folder, token)
    except (UsageError, StorageError) as error:
        emit(Warned(f"{error.message}; `luci list` and `luci clean` will need --dir to find this folder"))
        return False


def forget_if_empty(settings: Settings, folder: Path) -> None:
    """Forget the folder if luci has no files in it."""
    if not os.path.lexists(staging_folder(folder)):
        with contextlib.suppress(UsageError, StorageError):
            forget_folder(settings, folder)
