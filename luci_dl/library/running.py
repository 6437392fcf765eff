"""Which downloads are running now, in every terminal: by the locks that are held, and the texts in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luci_dl.disk.layout import OnError
from luci_dl.disk.lock_info import LockInfo, progress_of
from luci_dl.frozen import frozen
from luci_dl.library.folder import ModelsFolder, skip
from luci_dl.text import time_of_day


@frozen
class Running:
    """One model that a process is installing or removing.

    Attributes:
        folder: the models folder; names: of the model's files below it.
        model: what the user asked for, only the last part of a reference; command: as it would be typed.
        pid, host, user: of the process; since: when it started, ISO 8601 in UTC.
        done, total: bytes of all files, total None where the size of one is not known; rate: bytes a second.
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
    def description(self) -> str:
        return f"pid {self.pid} on {self.host} ({self.command}) since {time_of_day(self.since)}"


def running(folders: Sequence[Path], on_error: OnError = skip) -> list[Running]:
    """What is running in these models folders, the oldest first. It takes no lock. `on_error`: as of `ModelsFolder`."""
    found = [run for folder in folders for run in _running_in(ModelsFolder(folder, on_error))]
    return sorted(found, key=lambda run: (run.since, run.host, run.pid, run.names))


def _running_in(models: ModelsFolder) -> list[Running]:
    files: dict[str, list[LockInfo]] = {}  # by transaction
    for holder in models.holders():
        files.setdefault(holder.nonce, []).append(holder)
    return [_sum(models.path, holders) for holders in files.values()]


def _sum(folder: Path, files: Sequence[LockInfo]) -> Running:
    first, (done, total, rate) = files[0], progress_of(files)
    return Running(
        folder=folder,
        names=tuple(file.name for file in files),
        model=first.model,
        command=first.command,
        pid=first.pid,
        host=first.host,
        user=first.user,
        since=first.since,
        done=done,
        total=total,
        rate=rate,
    )
