"""Reads the headers of installed GGUF files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.errors import StorageError
from luci_dl.formats import gguf
from luci_dl.formats.check import damaged
from luci_dl.formats.reading import Damaged, Unsupported
from luci_dl.formats.table import format_of
from luci_dl.frozen import frozen


@frozen
class GgufFile:
    """A file with the name of a GGUF file.

    Attributes:
        header: None if luci does not support its form, or there is a `problem`.
        problem: why the file cannot be read, or is not whole; empty if neither.
    """

    path: Path
    header: gguf.Header | None
    problem: str = ""


def read_all(paths: Iterable[Path]) -> list[GgufFile]:
    """The headers of those paths that are regular files and have the name of a GGUF file."""
    return [_read(path) for path in paths if format_of(path.name).check is gguf.check and os.path.isfile(path)]


def _read(path: Path) -> GgufFile:
    try:
        file = fs.open_to_read(path)
        return GgufFile(path, gguf.check(partial(fs.read_at, file), file.size))
    except Unsupported:
        return GgufFile(path, None)
    except Damaged as error:
        return GgufFile(path, None, damaged(path.name, error).message)
    except StorageError as error:
        return GgufFile(path, None, error.message)
