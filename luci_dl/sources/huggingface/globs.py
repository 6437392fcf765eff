"""Patterns of file names, as --include and --exclude take them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(path: str, pattern: str) -> bool:
    """Whether the pattern means the file at `path`; upper and lower case differ, as on the Hub.

    A pattern without "/" means files of that name in any folder. Otherwise "*" stays within one folder, "**" goes
    through any number of them, and one that ends in "/" means all that is below.
    """
    if "/" not in pattern:
        return fnmatchcase(path.rpartition("/")[2], pattern)
    if pattern.endswith("/"):
        pattern += "**"
    return _fits(path.split("/"), pattern.removeprefix("/").split("/"))


def _fits(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_fits(parts[start:], patterns[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _fits(parts[1:], patterns[1:])
