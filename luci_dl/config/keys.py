"""A setting's key: its name, what it is for, what it may hold, and what overrides config.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from luci_dl.config.kinds import Kind


@dataclass(frozen=True)
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


def key(purpose: str, kind: Kind, *, variable: str = "", option: str = "") -> dict[str, Any]:
    """Metadata that makes a dataclass field a setting."""
    return {"key": Key(purpose, kind, variable, option)}
