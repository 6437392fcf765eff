"""Reads the headers of several GGUF files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from luci_dl.errors import IntegrityError, StorageError
from luci_dl.gguf.header import Header, check_whole
from luci_dl.plan import kind_of


@dataclass(frozen=True)
class GgufFile:
    """A file with the name of a GGUF file.

    Attributes:
        header: None if luci does not support its form, or there is a `problem`.
        problem: why the file cannot be read, or is not whole; empty if neither.
    """

    path: Path
    header: Header | None
    problem: str = ""


def read_all(paths: Iterable[Path]) -> list[GgufFile]:
    """The headers of those paths that are regular files and have the name of a GGUF file."""
    return [_read(path) for path in paths if kind_of(path.name) == "gguf" and os.path.isfile(path)]


def _read(path: Path) -> GgufFile:
    try:
        return GgufFile(path, check_whole(path))
    except (IntegrityError, StorageError) as error:
        return GgufFile(path, None, error.message)
