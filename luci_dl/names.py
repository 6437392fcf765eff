"""What a target may be called: the one place where a name that would leave the models folder is refused."""

from __future__ import annotations

import string
import unicodedata

from luci_dl.errors import UsageError
from luci_dl.text import printable

STAGING_SUFFIXES = (".part", ".lock", ".journal", ".receipt", ".commit")
"""What staging files end in. A target that ended so could be taken for one."""


def check_name(name: str) -> str:
    """`name` itself, when it may stand as a path below a models folder, with "/" between its parts.

    Raises: UsageError
    """
    if problem := _problem(name):
        raise UsageError(f'the file name "{printable(name)}" {problem}', "Give another one with -o.")
    return name


def target_key(name: str) -> str:
    """The same for all names that some file system holds to be one: case and composed letters do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_digest(text: str, digits: int, what: str) -> str:
    """`text` in lower case, when it is so many hex digits.

    Raises: UsageError, which calls the digest `what`.
    """
    strange = next((char for char in text if char not in string.hexdigits), "")
    if strange:
        raise UsageError(f'{what} must be {digits} hex digits, found the character "{printable(strange)}"')
    if len(text) != digits:
        raise UsageError(f"{what} must be {digits} hex digits, found {len(text)} of them")
    return text.lower()


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if not name.isprintable():
        return "has control characters or invisible ones in it"
    if "\\" in name:
        return "has a backslash in it"
    if name.startswith("/"):
        return "begins with a slash, but must lie below the models folder"
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
    suffix = next((suffix for suffix in STAGING_SUFFIXES if part.casefold().endswith(suffix)), None)
    return suffix and f"ends in {suffix}, which luci keeps for its own files"
