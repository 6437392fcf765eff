"""Values of environment variables, and paths, as the user meant them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from luci_dl.errors import UsageError
from luci_dl.names import DEFAULT_HOME
from luci_dl.text import printable, shown

_QUOTES = ('""', "''", "“”", "‘’")


def variable(environ: Mapping[str, str], name: str) -> str:
    """The value without spaces around it; empty if the variable is not set. Raises: UsageError, if it is in quotes."""
    return unquoted(environ.get(name, "").strip(), name)


def unquoted(text: str, what: str) -> str:
    """`text` itself. Raises: UsageError, if it is in quotes: a shell removes them, a file of variables keeps them."""
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:
        raise UsageError(f"{what} is in quotes, which are part of the value", "Remove them: only a shell does that.")
    return text


def parse_path(value: object, what: str, base: Path) -> Path:
    """An absolute path without "..", after a leading `~` or `$NAME` is replaced."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UsageError(f"{what}: expected a path, found {shown(value)}")
    path = unquoted(value, what)
    if "://" in path:
        raise UsageError(f"{what}: expected a path, found the address {printable(path)}")
    path = os.path.expandvars(path) if path.startswith("$") else path
    if path.startswith("$"):
        raise UsageError(f"{what}: the variable at the beginning of {printable(path)} is not set", "Give a full path.")
    try:
        os.fsencode(path)
        return _without_parents((base / Path(path).expanduser()).absolute())
    except FileNotFoundError as error:
        hint = "Change into another folder, or give an absolute path."
        raise UsageError(f"{what}: {shown(value)} is below the current folder, which no longer exists", hint) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{what}: cannot use the path {shown(value)}: {error}", "Give an absolute path.") from error


def _without_parents(path: Path) -> Path:
    """The same place without "..", which behind a symlink means the parent of what the symlink leads to."""
    short, real = os.path.normpath(path), os.path.realpath(path)
    return Path(short if os.path.realpath(short) == real else real) if ".." in path.parts else path


def home_of(environ: Mapping[str, str]) -> Path:
    """luci's own folder. Raises: UsageError"""
    return parse_path(variable(environ, "LUCI_HOME") or DEFAULT_HOME, "LUCI_HOME", Path())
