"""`luci config`: the settings that every command works with."""

from __future__ import annotations

import os
from pathlib import Path

from luci_dl.config.keys import KEYS, Key
from luci_dl.config.settings import Settings, config_path, home_of, load_settings, remember_folder
from luci_dl.errors import UsageError
from luci_dl.text import shown

__all__ = ["KEYS", "Folder", "Key", "Settings", "config_path", "folders_of", "home_of", "remember_folder", "settings"]

Folder = str | os.PathLike[str] | None
"""A models folder. None: the one that the command line uses; to search, every one it knows."""


def settings(folder: Folder = None) -> Settings:
    """The settings of the environment and config.json. Raises: UsageError; StorageError."""
    if folder is None:
        return load_settings(os.environ)
    if not (isinstance(folder, str | os.PathLike) and str(folder).strip()):
        raise UsageError(f"expected a folder, found {shown(folder)}", "Give the path of a models folder, or None.")
    return load_settings(os.environ, Path(folder))


def folders_of(settings: Settings, folder: Folder) -> list[Path]:
    """Where to look for models: the folder that was named, else every one that was ever used."""
    return [settings.models_dir] if folder is not None else settings.every_folder
