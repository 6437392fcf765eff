"""`luci config`: the settings that every command works with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.config import edit, show
from luci_dl.config.edit import Checks, unknown_setting
from luci_dl.config.keys import Key
from luci_dl.config.settings import KEYS, Settings, config_path, default_settings, load_settings
from luci_dl.config.show import FILE, SettingState
from luci_dl.environment import home_of
from luci_dl.errors import UsageError
from luci_dl.text import shown

__all__ = ["FILE", "KEYS", "Folder", "Key", "SettingState", "Settings", "config_path", "default_settings"]
__all__ += ["every_setting", "home_of", "set_setting", "settings", "unknown_setting", "unset_setting"]

Folder = str | os.PathLike[str] | None
"""A models folder. None: the one that the command line uses; to search, every one it knows."""


def settings(folder: Folder = None) -> Settings:
    """The settings of the environment and config.json. Raises: UsageError; StorageError."""
    if folder is None:
        return load_settings(os.environ)
    if not (isinstance(folder, str | os.PathLike) and str(folder).strip()):
        raise UsageError(f"expected a folder, found {shown(folder)}", "Give the path of a models folder, or None.")
    return load_settings(os.environ, Path(folder))


def every_setting() -> list[SettingState]:
    """The state of all settings. Raises: UsageError, if config.json cannot be read at all; StorageError."""
    return show.every_setting(os.environ)


def set_setting(name: str, texts: Sequence[str], token: CancelToken) -> None:
    """Write the value that the user typed to config.json, after all checks.

    Raises: UsageError; StorageError; Interrupted.
    """
    edit.set_setting(config_path(home_of(os.environ)), name, texts, _CHECKS, token)


def unset_setting(name: str, texts: Sequence[str], token: CancelToken) -> None:
    """Remove the setting from config.json; of a list only the items that the user typed, if there are any.

    Raises: UsageError; StorageError; Interrupted.
    """
    edit.unset_setting(config_path(home_of(os.environ)), name, texts, token)


def _check_catalog(file: Path) -> None:
    from luci_dl.catalog import catalog

    catalog.load(file)


def _check_mirrors(mirrors: Sequence[str]) -> None:
    from luci_dl.sources.endpoints import endpoints_of

    endpoints_of({}, mirrors)


def _check_lan(lan: Sequence[str]) -> None:
    from luci_dl.sources.endpoints import endpoints_of

    endpoints_of(os.environ, lan=lan)


_CHECKS: Checks = {"catalog": _check_catalog, "mirrors": _check_mirrors, "lan": _check_lan}
