"""The settings, and where they come from: an option overrides the environment, which overrides config.json."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luci_dl.config import kinds
from luci_dl.config.file import ConfigFile, read_config
from luci_dl.config.keys import Key, setting
from luci_dl.config.kinds import OnInterrupt
from luci_dl.disk.layout import staging_folder
from luci_dl.environment import home_of, parse_path, variable
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.rate_limit import UNLIMITED, RateLimit
from luci_dl.text import nearest

if TYPE_CHECKING:
    from luci_dl.plan import Options

_CATALOG = "catalog.toml"
_MODELS = "models"


@frozen
class Settings:
    """The settings of this run; all paths are absolute. A field with a key is a setting of config.json.

    Attributes:
        home: luci's own folder.
    """

    home: Path
    models_dir: Path = setting("where models are installed", kinds.FOLDER, variable="LUCI_MODELS_DIR", option="--dir")
    backup_models_dir: Path | None = setting("takes the models that models_dir cannot hold", kinds.FOLDER, None)
    folders: tuple[Path, ...] = setting("models folders that luci has installed into, remembered", kinds.FOLDERS, ())
    catalog: Path | None = setting("your own catalog", kinds.FILE, None, variable="LUCI_CATALOG")
    mirrors: tuple[str, ...] = setting(
        "servers with the same files as the Hub", kinds.ADDRESSES, (), variable="LUCI_MIRRORS"
    )
    lan: tuple[str, ...] = setting(
        "servers on your own network to ask for files before the Hub (luci serve)",
        kinds.ADDRESSES,
        (),
        variable="LUCI_LAN",
        option="--no-lan",
    )
    swarm: bool = setting(
        "share files of these servers with other hosts while they fetch them (luci serve --swarm)",
        kinds.SWITCH,
        False,
        option="--swarm",
    )
    http_hosts: tuple[str, ...] = setting("servers on your own network whose plain http you trust", kinds.HOSTS, ())
    links: tuple[str, ...] = setting(
        "programs and folders that each installed model is linked to (luci link)", kinds.LINKS, (), option="--link"
    )
    min_free: int = setting("disk space that stays free", kinds.SIZE, 1 << 30)
    on_interrupt: OnInterrupt = setting(
        "what happens to an interrupted download", kinds.ON_INTERRUPT, "delete", option="--keep-partial"
    )
    connections: int | None = setting(
        "connections per file (auto measures)", kinds.number(1, 16, auto=True), None, option="--connections"
    )
    jobs: int = setting("models installed side by side", kinds.number(1, 16), 1, option="--jobs")
    limit_rate: RateLimit = setting(
        "speed limit of all downloads together", kinds.RATE, UNLIMITED, option="--limit-rate"
    )
    retries: int = setting("consecutive failures allowed", kinds.number(0, 10**6), 10, option="--retries")
    timeout: int | None = setting(
        "seconds without a byte until a connection is given up (auto: 120 for the first byte, then 30)",
        kinds.number(1, 86_400, auto=True),
        None,
        option="--timeout",
    )

    @property
    def file(self) -> Path:
        """Where config.json is."""
        return config_path(self.home)

    @property
    def every_folder(self) -> list[Path]:
        """Every models folder that was ever used, the one for new models first. One folder may have several names."""
        backup = () if self.backup_models_dir is None else (self.backup_models_dir,)
        own = (self.home_models,) if os.path.lexists(self.home_models) else ()
        return list(dict.fromkeys((self.models_dir, *backup, *self.folders, *own)))

    @property
    def home_models(self) -> Path:
        """The models folder where none is configured."""
        return self.home / _MODELS

    @property
    def own_catalog(self) -> Path:
        """Where the user's own catalog is, or would be."""
        return self.catalog or self.home / _CATALOG

    @property
    def options(self) -> Options:
        """How to install: each option that has the name of a setting has its value."""
        from luci_dl.plan import Options  # not needed to read the settings

        same = {option.name: getattr(self, option.name) for option in fields(Options) if option.name in KEYS}
        return Options(**same, keep_partial=self.on_interrupt == "keep")


KEYS: dict[str, Key] = {
    each.name: replace(each.metadata["key"], name=each.name) for each in fields(Settings) if "key" in each.metadata
}
"""Every setting by its name."""


def config_path(home: Path) -> Path:
    """Where config.json is."""
    return home / "config.json"


def load_settings(environ: Mapping[str, str], models_dir: Path | None = None) -> Settings:
    """The settings; `models_dir` is the value of --dir. An empty variable counts as not set.

    Raises: UsageError, which names the variable, or the file and the key; StorageError.
    """
    home = home_of(environ)
    default, config = default_settings(home), read_config(config_path(home))
    found = {name: read_setting(key, getattr(default, name), environ, config) for name, key in KEYS.items()}
    settings = replace(default, **found)
    return settings if models_dir is None else replace(settings, models_dir=_named_folder(models_dir, settings))


def _named_folder(typed: Path, settings: Settings) -> Path:
    """The value of --dir. Raises: UsageError."""
    folder = parse_path(str(typed), "--dir", Path())
    for own in map(staging_folder, settings.every_folder):
        if own in (folder, *folder.parents):
            what = f"{folder} cannot be a models folder: luci has files of its own in {own}"
            raise UsageError(what, "Choose another folder.")
    return folder


def default_settings(home: Path) -> Settings:
    """The settings where nothing is configured. A `catalog.toml` in luci's own folder is used if it exists."""
    own = home / _CATALOG
    return Settings(home, home / _MODELS, catalog=own if os.path.exists(own) else None)


def read_setting(key: Key, default: Any, environ: Mapping[str, str], config: ConfigFile) -> Any:
    """The value of one setting. Raises: UsageError, which names the variable, or the file and the key."""
    text = variable(environ, key.variable)
    if not text:
        return config.get(key, default)
    typed = [part for part in re.split(r"[\s,]+", text) if part] if key.kind.many else text
    return key.kind.parse(typed, key.variable, Path())


def unknown_keys(config: ConfigFile) -> dict[str, str]:
    """The names in the file that luci does not know, each with the known one that is similar, if any."""
    return {name: near_key(name) for name in config.values if name not in KEYS}


def near_key(name: str, others: Collection[str] = ()) -> str:
    """The setting, or one of the other names, that a misspelt name probably means; empty if there is none."""
    return next(iter(nearest(name.replace("-", "_"), [*KEYS, *others], 1)), "")
