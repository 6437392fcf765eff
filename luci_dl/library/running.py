"""What runs now, in every terminal: the locks that are held, and what their holders say in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.disk.layout import FOLDER
from luci_dl.disk.lock import is_held, read_lock_info
from luci_dl.disk.lock_info import LockInfo
from luci_dl.errors import StorageError
from luci_dl.text import time_of_day


@dataclass(frozen=True)
class Running:
    """One model at which a luci is at work.

    Attributes:
        folder: the models folder.
        names: of the model's files below it.
        model: what the user asked for, the end of a long reference alone; command: as it would be typed.
        pid, host, user: who does it; since: when it began, ISO 8601 in UTC.
        done: bytes of all files; total: None where one is not known; rate: bytes a second.
    """

    folder: Path
    names: tuple[str, ...]
    model: str
    command: str
    pid: int
    host: str
    user: str
    since: str
    done: int
    total: int | None
    rate: float

    @property
    def who(self) -> str:
        return f"pid {self.pid} on {self.host} ({self.command}) since {time_of_day(self.since)}"


def running(folders: Sequence[Path]) -> list[Running]:
    """What runs in these models folders, the oldest first. Nobody is disturbed. Raises: StorageError."""
    found = [run for folder in folders for run in _running_in(folder.absolute())]
    return sorted(found, key=lambda run: (run.since, run.host, run.pid, run.names))


def _running_in(folder: Path) -> list[Running]:
    models: dict[str, list[LockInfo]] = {}
    for path in _locks(folder):
        holder = read_lock_info(path)
        if holder and not holder.outcome and is_held(path):  # after a crash nobody holds it, whatever it says
            models.setdefault(holder.nonce, []).append(holder)
    return [_sum(folder, holders) for holders in models.values()]


def _locks(folder: Path) -> Iterator[Path]:
    with fs.storage_errors("read", folder):
        for where, folders, names in os.walk(folder / FOLDER, onerror=_raise_unless_missing):
            folders.sort()
            for path in (Path(where) / name for name in sorted(names) if name.endswith(".lock")):
                with contextlib.suppress(StorageError):  # something else was put there: `clean` says so
                    if fs.is_own(path):
                        yield path


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _sum(folder: Path, files: Sequence[LockInfo]) -> Running:
    first, totals = files[0], [file.total for file in files]
    return Running(
        folder=folder,
        names=tuple(file.name for file in files),
        model=first.model,
        command=first.command,
        pid=first.pid,
        host=first.host,
        user=first.user,
        since=first.since,
        done=sum(file.done for file in files),
        total=None if None in totals else sum(total for total in totals if total is not None),
        rate=sum(file.rate for file in files if file.done != file.total),
    )
