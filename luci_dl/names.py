"""Which names a target may have: the one place where a name that would leave the models folder is refused.

The words that no model may be called are in catalog/entries.py.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from luci_dl.errors import UsageError
from luci_dl.text import cut, printable

DEFAULT_HOME = "~/.luciferai"
"""luci's own folder, where LUCI_HOME names no other."""
STAGING_SUFFIXES = (".part", ".lock", ".journal", ".receipt", ".commit")
"""The suffixes of luci's own files, in this order. A target with one of them could be mistaken for such a file."""
_WINDOWS_FORBIDS = ':?*<>|"'
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)", re.IGNORECASE)

MAX_BYTES = 255
"""Of one part of a path, on the usual file systems."""


@lru_cache(4096)  # each receipt of a model lists the names of all its files
def check_name(name: str) -> str:
    """`name` itself, if it may be a path below a models folder, with "/" between its parts.

    Raises: UsageError
    """
    if problem := _problem(name):
        raise UsageError(f'the file name "{cut(name)}" {problem}', "Give another one with -o.")
    return name


def target_key(name: str) -> str:
    """The same key for all names that some file system treats as one: those that differ in case or composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def windows_problem(name: str) -> str:
    """Why Windows and its file systems (NTFS, exFAT, FAT, SMB) do not allow the file name; empty when they do."""
    if forbidden := next((char for char in name if char in _WINDOWS_FORBIDS), ""):
        return f"it contains {forbidden}"
    if name.endswith("."):
        return "it ends in a dot"
    return "it is the name of a device" if _WINDOWS_DEVICE.match(name) else ""


def check_digest(text: str, digits: int, what: str) -> str:
    """`text` in lower case, if it consists of that many hex digits.

    Args:
        what: the subject of the message, like "the digest".

    Raises: UsageError
    """
    other = next((char for char in text if char not in string.hexdigits), "")
    if other:
        raise UsageError(f'{what} must be {digits} hex digits, found the character "{printable(other)}"')
    if len(text) != digits:
        raise UsageError(f"{what} must be {digits} hex digits, found {len(text)} of them")
    return text.lower()


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if not name.isprintable():
        return "contains control characters or invisible characters"
    if "\\" in name:
        return "contains a backslash"
    if name.startswith("/"):
        return "begins with a slash, but must be relative to the models folder"
    return next(filter(None, map(_problem_of_part, name.split("/"))), None)


def _problem_of_part(part: str) -> str | None:
    if not part:
        return "has an empty part"
    if part in (".", ".."):
        return f'has "{part}" in it and could leave the models folder'
    if part.startswith("."):
        return "begins with a dot, so it would be hidden"
    if part.startswith("-"):
        return "begins with a dash, so other programs would take it for an option"
    if part != part.strip():
        return "begins or ends with a space"
    if len(part.encode()) > MAX_BYTES:
        return f"is too long: at most {MAX_BYTES} bytes are possible"
    suffix = next((suffix for suffix in STAGING_SUFFIXES if part.casefold().endswith(suffix)), None)
    return suffix and f"ends in {suffix}, which luci reserves for its own files"
