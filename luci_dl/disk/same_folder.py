"""A folder is what it is, not its name: two paths lead to the same one if device and inode are equal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def identity(path: Path) -> tuple[int, int] | Path:
    """Device and inode of what is at the path; the path itself where that cannot be asked."""
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return path
    return info.st_dev, info.st_ino


def distinct(folders: Iterable[Path]) -> list[Path]:
    """The folders, each under the first of its names only."""
    found: dict[tuple[int, int] | Path, Path] = {}
    for folder in folders:
        found.setdefault(identity(folder), folder)
    return list(found.values())
