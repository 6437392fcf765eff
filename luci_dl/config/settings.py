"""Settings, and where they come from: a flag beats the environment, which beats config.json."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from luci_dl.config import keys as keys
from luci_dl.config.file import ConfigFile, change_config, read_config
from luci_dl.config.keys import Key, OnInterrupt

if TYPE_CHECKING:
    from luci_dl.cancel import CancelToken
    from luci_dl.plan import Options

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True)
class Settings:
    """What holds for this run. All paths are absolute.

    Attributes:
        home: luci's own folder.
        models_dir: where models are installed.
        backup_models_dir: takes what `models_dir` has no room for.
        catalog: the user's catalog file: one that was named, else `catalog.toml` in luci's own folder if it is there.
        min_free: bytes that stay free on the disk.
        on_interrupt: what becomes of a part when a signal comes.
        folders: other models folders, which were once named by --dir.
        mirrors: addresses of servers that have what the Hub has.
        connections: for each file; None to find out by measuring.
        jobs: models side by side.
        limit_rate: bytes a second; None for no limit.
        retries: failed attempts in a row that are forgiven.
    """

    home: Path
    models_dir: Path
    backup_models_dir: Path | None = None
    catalog: Path | None = None
    min_free: int = 1 << 30
    on_interrupt: OnInterrupt = "delete"
    folders: tuple[Path, ...] = ()
    mirrors: tuple[str, ...] = ()
    connections: int | None = None
    jobs: int = 1
    limit_rate: int | None = None
    retries: int = 10

    @property
    def file(self) -> Path:
        """Where the settings are kept."""
        return config_path(self.home)

    @property
    def every_folder(self) -> list[Path]:
        """Every models folder that was ever used, the one for new models first, then the backup."""
        backup = () if self.backup_models_dir is None else (self.backup_models_dir,)
        return list(dict.fromkeys((self.models_dir, *backup, *self.folders)))

    @property
    def own_catalog(self) -> Path:
        """Where the user's own models are written, which need not be there yet."""
        return self.catalog or self.home / "catalog.toml"

    @property
    def options(self) -> Options:
        """How to install, as far as the settings say."""
        from luci_dl.plan import Options  # not needed to read the settings

        return Options(
            jobs=self.jobs,
            connections=self.connections,
            limit_rate=self.limit_rate,
            retries=self.retries,
            keep_partial=self.on_interrupt == "keep",
            min_free=self.min_free,
        )


def config_path(home: Path) -> Path:
    """Where the settings are kept."""
    return home / "config.json"


def home_of(environ: Mapping[str, str]) -> Path:
    """luci's own folder. Raises: UsageError"""
    return keys.path(environ.get("LUCI_HOME") or "~/.luciferai", "LUCI_HOME", Path())


def load_settings(environ: Mapping[str, str], models_dir: Path | None = None) -> Settings:
    """The settings; `models_dir` is what the flag says. A variable that is empty counts as not set.

    Raises: UsageError, which names the variable, or the file and the key; StorageError.
    """
    home = home_of(environ)
    config = read_config(config_path(home))

    def get(key: Key[T], default: D) -> T | D:
        return setting(key, default, environ, config)

    default = default_settings(home)
    configured = get(keys.MODELS_DIR, default.models_dir)
    return Settings(
        home=home,
        models_dir=configured if models_dir is None else keys.path(str(models_dir), "--dir", Path()),
        backup_models_dir=get(keys.BACKUP_MODELS_DIR, default.backup_models_dir),
        catalog=get(keys.CATALOG, default.catalog),
        min_free=get(keys.MIN_FREE, default.min_free),
        on_interrupt=get(keys.ON_INTERRUPT, default.on_interrupt),
        folders=get(keys.FOLDERS, default.folders),
        mirrors=get(keys.MIRRORS, default.mirrors),
        connections=get(keys.CONNECTIONS, default.connections),
        jobs=get(keys.JOBS, default.jobs),
        limit_rate=get(keys.LIMIT_RATE, default.limit_rate),
        retries=get(keys.RETRIES, default.retries),
    )


def default_settings(home: Path) -> Settings:
    """What holds where nobody said otherwise."""
    own = home / "catalog.toml"
    return Settings(home, home / "models", catalog=own if os.path.exists(own) else None)


def setting(key: Key[T], default: D, environ: Mapping[str, str], config: ConfigFile) -> T | D:
    """What holds for one of them. Raises: UsageError, which names the variable, or the file and the key."""
    text = environ.get(key.variable) if key.variable else ""
    if not text:
        return config.get(key, default)
    typed = [part for part in re.split(r"[\s,]+", text) if part] if key.many else text
    return key.rule(typed, key.variable, Path())


def unknown_keys(config: ConfigFile) -> dict[str, str | None]:
    """The names in the file that luci does not know, and for each the known one that comes near."""
    return {name: near_key(name) for name in config.values if name not in keys.KEYS}


def near_key(name: str, others: Collection[str] = ()) -> str | None:
    """The setting that a misspelt name may mean, or one of the other names."""
    from difflib import get_close_matches  # costs start-up time, and most names are spelt right

    return next(iter(get_close_matches(name.casefold().replace("-", "_")[:100], [*keys.KEYS, *others], 1)), None)


def remember_folder(settings: Settings, folder: Path, token: CancelToken | None = None) -> None:
    """Write the models folder into config.json, unless it is the default one or there already.

    Raises: UsageError, when the file is broken; StorageError; Interrupted.
    """
    folder = folder.absolute()
    if folder in (settings.home / "models", *settings.folders):
        return

    def add(config: ConfigFile) -> Mapping[str, object] | None:
        folders = config.get(keys.FOLDERS, ())
        if folder in folders:
            return None
        return {**config.values, keys.FOLDERS.name: keys.FOLDERS.json((*folders, folder))}

    change_config(settings.file, add, token)
