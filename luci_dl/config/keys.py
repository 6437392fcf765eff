"""What config.json may hold: for each setting what it is for, and what its value must be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from luci_dl.errors import UsageError
from luci_dl.text import printable, shown

OnInterrupt = Literal["delete", "keep"]

MOST_CONNECTIONS = 16
MOST_JOBS = 16

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kmgt]i?)?b?", re.IGNORECASE)

T_co = TypeVar("T_co", covariant=True)
Rule = Callable[[object, str, Path], T_co]
"""Makes of what stands in the file, or was typed, what luci works with. It is told what to call the value in an error,
and the folder at which a relative path starts. Raises: UsageError."""


@dataclass(frozen=True)
class Key(Generic[T_co]):
    """One setting.

    Attributes:
        purpose: a few words for the user.
        variable: of the environment, which beats config.json; "" for none.
        many: it is a list.
        nothing: the word for None; "" where there is none, so the setting can only be taken away.
        size: it is in bytes.
    """

    name: str
    purpose: str
    rule: Rule[T_co]
    variable: str = ""
    many: bool = False
    nothing: str = ""
    size: bool = False

    def texts(self, value: Any) -> list[str]:
        """The value as it can be typed: exactly one text, save for a list and for None without a word."""
        if value is None:
            return [self.nothing] if self.nothing else []
        if self.many:
            return [str(item) for item in value]
        return [size_text(value) if self.size else str(value)]

    def json(self, value: Any) -> object:
        """The value as it stands in config.json."""
        texts = self.texts(value)
        if self.many:
            return texts
        return value if isinstance(value, int) and not self.size else texts[0]


def parse_size(text: str) -> int:
    """Bytes: 512, 20M (decimal), 1.5G, 1GiB (binary).

    Raises: UsageError
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f'expected a size such as 512, 20M, 1.5G or 1GiB, found "{printable(text)}"')
    number, unit = match.groups()
    return round(float(number) * _UNITS[(unit or "").lower()])


def size_text(size: int) -> str:
    """The shortest text that `parse_size` makes exactly these bytes of."""
    units = sorted(_UNITS.items(), key=lambda pair: -pair[1])
    unit, factor = next((unit, factor) for unit, factor in units if factor == 1 or (size and size % factor == 0))
    return f"{size // factor}{unit[:1].upper()}{'iB' if unit.endswith('i') else ''}"


def path(value: object, what: str, base: Path) -> Path:
    """An absolute path."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise UsageError(f"{what}: expected a path, found {shown(value)}")
    try:
        os.fsencode(value)
        return (base / Path(value).expanduser()).absolute()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{what}: {shown(value)} leads nowhere: {error}", "Give an absolute path.") from error


def _paths(value: object, what: str, base: Path) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{what}: expected a list of folders, found {shown(value)}")
    return tuple(path(item, what, base) for item in value)


def _addresses(value: object, what: str, _base: Path) -> tuple[str, ...]:
    """What follows the scheme is checked where the addresses are used."""
    if not isinstance(value, list):
        raise UsageError(f"{what}: expected a list of addresses, found {shown(value)}")
    for item in value:
        if not (isinstance(item, str) and re.match("https?://.", item)):
            raise UsageError(f"{what}: expected an address such as https://mirror.example, found {shown(item)}")
    return tuple(value)


def _bytes(value: object, what: str, _base: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if not isinstance(value, str):
        raise UsageError(f'{what}: expected bytes, or a size such as "1G", found {shown(value)}')
    try:
        return parse_size(value)
    except UsageError as error:
        raise UsageError(f"{what}: {error.message}") from error


def _rate(value: object, what: str, base: Path) -> int | None:
    if value == "none":
        return None
    rate = _bytes(value.removesuffix("/s") if isinstance(value, str) else value, what, base)
    if rate < 1:
        raise UsageError(f'{what}: expected at least one byte a second, or "none", found {shown(value)}')
    return rate


def _on_interrupt(value: object, what: str, _base: Path) -> OnInterrupt:
    if value not in ("delete", "keep"):
        raise UsageError(f'{what}: expected "delete" or "keep", found {shown(value)}')
    return "keep" if value == "keep" else "delete"


def _connections(value: object, what: str, base: Path) -> int | None:
    if value == "auto":
        return None
    try:
        return _number(1, MOST_CONNECTIONS)(value, what, base)
    except UsageError as error:
        raise UsageError(error.message.replace("expected", 'expected "auto" or', 1)) from None


def _number(least: int, most: int) -> Rule[int]:
    def rule(value: object, what: str, _base: Path) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value
        if isinstance(number, int) and not isinstance(number, bool) and least <= number <= most:
            return number
        raise UsageError(f"{what}: expected a number from {least} to {most}, found {shown(value)}")

    return rule


MODELS_DIR = Key("models_dir", "where models are installed", path, "LUCI_MODELS_DIR")
BACKUP_MODELS_DIR = Key("backup_models_dir", "takes what models_dir has no room for", path)
FOLDERS = Key("folders", "other models folders, remembered from --dir", _paths, many=True)
CATALOG = Key("catalog", "your own catalog file", path, "LUCI_CATALOG")
MIRRORS = Key("mirrors", "servers that have what the Hub has", _addresses, "LUCI_MIRRORS", many=True)
MIN_FREE = Key("min_free", "bytes that stay free on the disk", _bytes, size=True)
ON_INTERRUPT = Key("on_interrupt", "an interrupted download: delete or keep it", _on_interrupt)
CONNECTIONS = Key("connections", "for each file", _connections, nothing="auto")
JOBS = Key("jobs", "models side by side", _number(1, MOST_JOBS))
LIMIT_RATE = Key("limit_rate", "bytes a second in all", _rate, nothing="none", size=True)
RETRIES = Key("retries", "failed attempts in a row that are forgiven", _number(0, 10**6))

_ALL: tuple[Key[object], ...] = (
    *(MODELS_DIR, BACKUP_MODELS_DIR, FOLDERS, CATALOG, MIRRORS, MIN_FREE, ON_INTERRUPT),
    *(CONNECTIONS, JOBS, LIMIT_RATE, RETRIES),
)
KEYS = {key.name: key for key in _ALL}
"""Every setting by its name; `Settings` has an attribute of the same."""
