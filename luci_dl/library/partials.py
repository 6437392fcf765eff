"""What lies half-fetched in a models folder, by the journals: nobody is disturbed, and nothing is changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from luci_dl.disk import fs, journal
from luci_dl.disk.layout import FOLDER, staging_at
from luci_dl.disk.lock import is_held
from luci_dl.errors import StorageError


@dataclass(frozen=True)
class Partial:
    """A part of one file.

    Attributes:
        name: of the target, below the folder.
        done: bytes that the journal can prove; total: None where it is not known.
        running: a luci is at work on it.
    """

    folder: Path
    name: str
    path: Path
    done: int
    total: int | None
    running: bool


def partials(folders: Sequence[Path]) -> list[Partial]:
    """Every part with a journal, in the order of the folders and names. Raises: StorageError."""
    return [partial for folder in folders for partial in _partials_in(folder.absolute())]


def _partials_in(folder: Path) -> Iterator[Partial]:
    for path in _journals(folder):
        with contextlib.suppress(StorageError):  # of another format, or not ours to read: `clean` says so
            log = journal.read(path)
            base = path.with_suffix("")
            staging = staging_at(folder, base, log.header.name) if log else None
            if log and staging and staging.name and fs.is_own(staging.part):
                done = max((offset for offset, _ in log.checkpoints), default=0)
                yield Partial(folder, staging.name, staging.part, done, log.header.size, is_held(staging.lock))


def _journals(folder: Path) -> list[Path]:
    with fs.storage_errors("read", folder):
        found = os.walk(folder / FOLDER, onerror=_raise_unless_missing)
        return sorted(Path(where) / name for where, _, names in found for name in names if name.endswith(".journal"))


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
