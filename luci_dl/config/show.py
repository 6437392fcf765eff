"""The state of every setting: its value, where that comes from, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luci_dl.config.file import ConfigFile, read_config
from luci_dl.config.keys import Key
from luci_dl.config.settings import KEYS, config_path, default_settings, read_setting, unknown_keys
from luci_dl.environment import home_of
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.rate_limit import RateLimit
from luci_dl.text import public_text

FILE = "config.json"
DEFAULT = "default"


@frozen
class SettingState:
    """One setting.

    Attributes:
        origin: "default", "config.json", or the name of an environment variable.
        value: as JSON; text if it is invalid.
        texts: the value as the user would type it.
        problem: why it is invalid.
        purpose: None for a name that luci does not know.
        near: the setting that an unknown name probably means; may be empty.
        overrides: config.json has another value, which the variable overrides.
    """

    name: str
    origin: str
    value: object
    texts: list[str]
    problem: UsageError | None = None
    purpose: str | None = None
    near: str = ""
    overrides: bool = False


def every_setting(environ: Mapping[str, str]) -> list[SettingState]:
    """All settings, and then the unknown names in config.json. An invalid value does not affect the others.

    Raises: UsageError, when the file is not a JSON object or LUCI_HOME is invalid; StorageError.
    """
    config = read_config(config_path(home_of(environ)))
    known = [_state(key, environ, config) for key in KEYS.values()]
    unknown = [
        SettingState(name, FILE, config.values[name], [json.dumps(config.values[name])], near=near)
        for name, near in unknown_keys(config).items()
    ]
    return known + unknown


def _state(key: Key, environ: Mapping[str, str], config: ConfigFile) -> SettingState:
    in_file = config.values.get(key.name)
    in_variable = environ.get(key.variable, "").strip()
    origin = key.variable if in_variable else DEFAULT if in_file is None else FILE
    default = getattr(default_settings(config.path.parent), key.name)
    try:
        value = read_setting(key, default, environ, config)
    except UsageError as error:
        raw = public_text(in_variable or json.dumps(in_file))
        return SettingState(key.name, origin, raw, [raw], error, key.purpose)
    overrides = bool(in_variable) and in_file is not None
    texts = key.kind.texts(value)
    return SettingState(key.name, origin, _plain(value, texts), texts, purpose=key.purpose, overrides=overrides)


def _plain(value: Any, texts: list[str]) -> object:
    """The value as JSON has it; sizes in bytes, and a rate limit, too, unless it depends on the time of day."""
    if isinstance(value, tuple):
        return texts
    if isinstance(value, RateLimit):
        return texts[0] if value.spans else value.rate
    return texts[0] if isinstance(value, Path) else value
