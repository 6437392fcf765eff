"""A setting's key: its name, what it is for, what it may hold, and what overrides config.json."""

from __future__ import annotations

from dataclasses import MISSING, field
from typing import Any, TypeVar

from luci_dl.config.kinds import Kind
from luci_dl.frozen import frozen

T = TypeVar("T")
_NONE: Any = MISSING


@frozen
class Key:
    """One setting.

    Attributes:
        purpose: a few words for the user.
        kind: what it may hold.
        variable: the environment variable that overrides config.json; "" if there is none.
        option: the option of `luci install` that overrides both; "" if there is none.
        name: in config.json, and of the attribute of `Settings`.
    """

    purpose: str
    kind: Kind
    variable: str = ""
    option: str = ""
    name: str = ""


def setting(purpose: str, kind: Kind, default: T = _NONE, *, variable: str = "", option: str = "") -> T:
    """A dataclass field that is a setting."""
    return field(default=default, metadata={"key": Key(purpose, kind, variable, option)})
