"""Settings, and where they come from: a flag beats the environment, which beats config.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from luci_dl.errors import StorageError, UsageError
from luci_dl.text import printable, shown

OnInterrupt = Literal["delete", "keep"]

_MIN_FREE = 1 << 30
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kmgt]i?)?b?", re.IGNORECASE)

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True)
class Settings:
    """What holds for this run. All paths are absolute.

    Attributes:
        home: luci's own folder.
        models_dir: where models are installed.
        catalog: the user's catalog file: one that was named, else `catalog.toml` in luci's own folder if it is there.
        min_free: bytes that stay free on the disk.
        on_interrupt: what becomes of a part when a signal comes.
        folders: other models folders, which were once named by --dir.
        mirrors: addresses of servers that have what the Hub has, as config.json names them.
    """

    home: Path
    models_dir: Path
    catalog: Path | None = None
    min_free: int = _MIN_FREE
    on_interrupt: OnInterrupt = "delete"
    folders: tuple[Path, ...] = ()
    mirrors: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """Where the settings are kept."""
        return self.home / "config.json"

    @property
    def own_catalog(self) -> Path:
        """Where the user's own models are written, which need not be there yet."""
        return self.catalog or self.home / "catalog.toml"


def load_settings(environ: Mapping[str, str], models_dir: Path | None = None) -> Settings:
    """The settings; `models_dir` is what the flag says. A variable that is empty counts as not set.

    Raises: UsageError, which names the variable, or the file and the key; StorageError.
    """

    def told(variable: str) -> Path | None:
        text = environ.get(variable)
        return _path(text, Path(), variable) if text else None

    home = told("LUCI_HOME") or _path("~/.luciferai", Path(), "LUCI_HOME")
    config = _read(home / "config.json")
    configured = config.get("models_dir", config.path, home / "models")
    default = home / "catalog.toml"
    catalog = config.get("catalog", config.path, default if os.path.exists(default) else None)
    flag = None if models_dir is None else _path(str(models_dir), Path(), "--dir")
    return Settings(
        home=home,
        models_dir=flag or told("LUCI_MODELS_DIR") or configured,
        catalog=told("LUCI_CATALOG") or catalog,
        min_free=config.get("min_free", _bytes, _MIN_FREE),
        on_interrupt=config.get("on_interrupt", _on_interrupt, "delete"),
        folders=config.get("folders", config.paths, ()),
        mirrors=config.get("mirrors", _texts, ()),
    )


def remember_folder(settings: Settings, folder: Path) -> None:
    """Write the models folder into config.json, unless it is the default one or there already.

    Raises: UsageError, when the file is broken; StorageError.
    """
    from luci_dl.disk import fs, staging  # not needed to read the settings, and filelock costs start-up time

    folder = folder.absolute()
    if folder in (settings.home / "models", *settings.folders):
        return
    with staging.file_lock(settings.file.with_name("config.json.lock")):
        config = _read(settings.file)
        folders = config.get("folders", config.paths, ())
        if folder not in folders:
            values = {**config.values, "folders": [str(known) for known in (*folders, folder)]}
            fs.write_file(settings.file, json.dumps(values, indent=2).encode() + b"\n")


def parse_size(text: str) -> int:
    """Bytes: 512, 20M (decimal), 1.5G, 1GiB (binary).

    Raises: UsageError
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f'expected a size such as 512, 20M, 1.5G or 1GiB, found "{printable(text)}"')
    number, unit = match.groups()
    return round(float(number) * _UNITS[(unit or "").lower()])


@dataclass(frozen=True)
class _Config:
    """config.json as it stands, and the rules for its values; a rule is told what to call the value."""

    file: Path
    values: dict[str, object]

    def get(self, key: str, rule: Callable[[object, str], T], default: D) -> T | D:
        value = self.values.get(key)
        return default if value is None else rule(value, f"{printable(str(self.file))}, {key}")

    def path(self, value: object, what: str) -> Path:
        return _path(value, self.file.parent, what)

    def paths(self, value: object, what: str) -> tuple[Path, ...]:
        if not isinstance(value, list):
            raise UsageError(f"{what}: expected a list of folders, found {shown(value)}")
        return tuple(self.path(item, what) for item in value)


def _read(file: Path) -> _Config:
    """The file at `file`, or no values when it is not there."""
    name = printable(str(file))
    try:
        values = json.loads(file.read_bytes())
    except FileNotFoundError:
        return _Config(file, {})
    except OSError as error:
        raise StorageError(f"cannot read {name}: {error.strerror}", "Check who owns it.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not JSON: {error}", "Correct the file or move it away.") from error
    if not isinstance(values, dict):
        raise UsageError(f"{name}: expected a JSON object, found {shown(values)}", "Correct the file or move it away.")
    return _Config(file, values)


def _path(value: object, base: Path, what: str) -> Path:
    """An absolute path; a relative one starts at `base`."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise UsageError(f"{what}: expected a path, found {shown(value)}")
    try:
        os.fsencode(value)
        return (base / Path(value).expanduser()).absolute()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{what}: {shown(value)} leads nowhere: {error}", "Give an absolute path.") from error


def _bytes(value: object, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if not isinstance(value, str):
        raise UsageError(f'{what}: expected bytes, or a size such as "1G", found {shown(value)}')
    try:
        return parse_size(value)
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}") from error


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{what}: expected a list of texts, found {shown(value)}")
    return tuple(value)


def _on_interrupt(value: object, what: str) -> OnInterrupt:
    if value not in ("delete", "keep"):
        raise UsageError(f'{what}: expected "delete" or "keep", found {shown(value)}')
    return "keep" if value == "keep" else "delete"
