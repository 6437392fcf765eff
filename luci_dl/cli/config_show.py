"""What `luci config` tells of a setting, and how what was typed for one is checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luci_dl.config.file import ConfigFile, read_config
from luci_dl.config.keys import CATALOG, KEYS, MIRRORS, Key
from luci_dl.config.settings import config_path, default_settings, home_of, setting, unknown_keys
from luci_dl.errors import UsageError
from luci_dl.text import printable

FILE = "config.json"
DEFAULT = "default"


@dataclass(frozen=True)
class Shown:
    """One setting.

    Attributes:
        origin: "default", "config.json", or the name of a variable.
        value: as JSON; what stands there where it is wrong.
        texts: the value as it can be typed.
        problem: why it cannot be used.
        purpose: None when luci does not know it.
        near: what a name that luci does not know may mean.
        hides: config.json has another value, which the variable beats.
    """

    name: str
    origin: str
    value: object
    texts: list[str]
    problem: UsageError | None = None
    purpose: str | None = None
    near: str | None = None
    hides: bool = field(default=False, kw_only=True)

    def facts(self) -> dict[str, object]:
        """For programs."""
        return {
            "name": self.name,
            "value": self.value,
            "origin": self.origin,
            "purpose": self.purpose,
            "problem": self.problem.message if self.problem else None,
        }

    def row(self) -> tuple[str, str, str]:
        """For a table."""
        origin = self.origin
        if self.purpose is None:
            origin += f" (unknown; did you mean {self.near}?)" if self.near else " (unknown)"
        return self.name, ", ".join(self.texts) or "none", origin + (" (wrong)" if self.problem else "")

    def told(self) -> list[str]:
        """After a change."""
        lines = [f"{self.name} is now: {printable(', '.join(self.texts) or 'none')} ({self.origin})"]
        if self.hides:
            lines.append(f"⚠️  {self.origin} is set in the environment and beats {FILE}")
        return lines


def every_setting(environ: Mapping[str, str]) -> list[Shown]:
    """What holds, setting by setting, and then what luci does not know in the file. A wrong value is its own affair.

    Raises: UsageError, when the file is no JSON object or LUCI_HOME is none; StorageError.
    """
    config = read_config(config_path(home_of(environ)))
    known = [_known(key, environ, config) for key in KEYS.values()]
    strange = [
        Shown(name, FILE, config.values[name], [json.dumps(config.values[name])], near=near)
        for name, near in unknown_keys(config).items()
    ]
    return known + strange


def _known(key: Key[Any], environ: Mapping[str, str], config: ConfigFile) -> Shown:
    stands = config.values.get(key.name)
    told = environ.get(key.variable) if key.variable else None
    origin = key.variable if told else DEFAULT if stands is None else FILE
    default = getattr(default_settings(config.path.parent), key.name)
    try:
        value = setting(key, default, environ, config)
    except UsageError as error:
        return Shown(key.name, origin, told or stands, [told or json.dumps(stands)], error, key.purpose)
    hides = bool(told) and stands is not None
    return Shown(key.name, origin, _plain(value), key.texts(value), None, key.purpose, hides=hides)


def _plain(value: Any) -> object:
    """For programs: sizes in bytes."""
    if isinstance(value, tuple):
        return list(map(_plain, value))
    return str(value) if isinstance(value, Path) else value


def checked(key: Key[Any], texts: Sequence[str]) -> Any:
    """The value that the words mean, when luci can work with it. Raises: UsageError"""
    if not key.many and len(texts) > 1:
        raise UsageError(f"{key.name} takes one value, found {len(texts)}", "Put quotes around one that has spaces.")
    value = key.rule(list(texts) if key.many else texts[0], key.name, Path())
    for path in value if key.many else (value,):
        if isinstance(path, Path) and key is not CATALOG and os.path.lexists(path) and not os.path.isdir(path):
            raise UsageError(f"{key.name}: expected a folder, found the file {printable(str(path))}")
    if key is CATALOG:
        from luci_dl.catalog import catalog

        catalog.load(value)
    if key is MIRRORS:
        from luci_dl.sources.endpoints import endpoints_of

        endpoints_of({}, value)
    return tuple(dict.fromkeys(value)) if key.many else value


def without(key: Key[Any], value: Sequence[Any], texts: Sequence[str]) -> list[Any]:
    """The list but for what the words name. Raises: UsageError, when one of them is not in it."""
    if not key.many:
        raise UsageError(
            f"{key.name} is no list, so there is nothing to take out of it", f"luci config unset {key.name}"
        )
    gone = key.rule(list(texts), key.name, Path())
    missing = [str(item) for item in gone if item not in value]
    if missing:
        there = ", ".join(key.texts(value)) or "nothing"
        raise UsageError(f"{key.name} has no {printable(missing[0])}", f"There is: {printable(there)}")
    return [item for item in value if item not in gone]
