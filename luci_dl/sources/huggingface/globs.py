"""File name patterns, as --include and --exclude take them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(path: str, pattern: str) -> bool:
    """True when the pattern matches the file at `path`. Case matters, as on the Hub.

    A pattern without "/" matches files of that name in any folder. Otherwise "*" stays within one folder, "**" matches
    any number of folders, and a pattern that ends in "/" matches everything below.
    """
    if "/" not in pattern:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    if pattern.endswith("/"):
        pattern += "**"
    return _match(path.split("/"), pattern.removeprefix("/").split("/"))


def _match(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_match(parts[start:], patterns[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _match(parts[1:], patterns[1:])
