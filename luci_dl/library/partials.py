"""Unfinished downloads in a models folder, by their journals. Nothing is changed, no lock is taken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.disk.layout import OnError
from luci_dl.disk.lock import is_held
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen
from luci_dl.library.folder import ModelsFolder, skip


@frozen
class Partial:
    """The part of one file.

    Attributes:
        folder: the models folder; name: the target's path below it.
        path: of the part.
        done: bytes that the journal has a digest for; total: bytes of the whole file, None where that is not known.
        running: a process is downloading it.
    """

    folder: Path
    name: str
    path: Path
    done: int
    total: int | None
    running: bool


def partials(folders: Sequence[Path], on_error: OnError = skip) -> list[Partial]:
    """Every part with a journal, in the order of the folders and names. `on_error`: as of `ModelsFolder`."""
    return [partial for folder in folders for partial in _partials_in(ModelsFolder(folder, on_error))]


def _partials_in(models: ModelsFolder) -> Iterator[Partial]:
    for staging, log in sorted(models.journals(), key=lambda found: found[0].base):
        with contextlib.suppress(StorageError):  # it is not a plain file: `clean` reports it
            if fs.is_own(staging.part):
                size, is_running = log.header.size, is_held(staging.lock)
                yield Partial(models.path, str(staging.name), staging.part, log.proved, size, is_running)
