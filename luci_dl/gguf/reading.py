"""GGUF files, and what came of reading their headers."""

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
    """A file whose name says GGUF.

    Attributes:
        header: None where it has a form that luci does not know, or there is a `problem`.
        problem: why it cannot be read, or the file not be whole; empty when all is well.
    """

    path: Path
    header: Header | None
    problem: str = ""


def read_all(paths: Iterable[Path]) -> list[GgufFile]:
    """The headers of those of the files that are there and plain, and whose names say GGUF."""
    return [_read(path) for path in paths if kind_of(path.name) == "gguf" and os.path.isfile(path)]


def _read(path: Path) -> GgufFile:
    try:
        return GgufFile(path, check_whole(path))
    except (IntegrityError, StorageError) as error:
        return GgufFile(path, None, error.message)
