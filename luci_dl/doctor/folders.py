"""A models folder: can files be written, locked and kept there, is there room, what was left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.config.settings import Settings
from luci_dl.disk import fs, space
from luci_dl.disk.filesystems import FileSystem, file_system
from luci_dl.disk.probe import probe
from luci_dl.doctor.examine import doubt, fault, fine
from luci_dl.errors import StorageError
from luci_dl.events import Cleaned, Event, Finding
from luci_dl.library.clean import clean
from luci_dl.library.running import running
from luci_dl.text import human_size, printable, time_of_day


def check_folder(folder: Path, settings: Settings, token: CancelToken) -> Iterator[Finding]:
    """Everything about one folder that was ever used."""
    is_default = folder in (settings.models_dir, settings.backup_models_dir)
    shown, on = printable(str(folder)), file_system(folder)
    with fs.storage_errors("look at", folder):
        is_there = folder.is_dir()
    if not is_there:
        yield from _missing(folder, is_default)
        return
    try:
        found = probe(folder)
    except StorageError as error:
        trouble = fault("folder", error)
        hint = "Nothing can be installed there; what is installed can be used."
        yield trouble if is_default else doubt("folder", error.message, hint)
        return
    yield fine("folder", f"{shown}: files can be written, synced and renamed{_named(on)}")
    yield from _peculiar(shown, on)
    if found.locks:
        yield fine("locks", f"{shown}: a lock keeps others out")
    else:
        hint = "Each download has files of its own there, is read back, and cannot be resumed."
        yield doubt("locks", f"{shown}: the file system grants a lock to everyone", hint)
    if not found.preallocates:
        hint = "The free space is watched while a download runs."
        yield doubt("space", f"{shown}: room cannot be claimed before a download", hint)
    yield _room(folder, settings, is_default)
    yield from _at_work(folder)
    yield from _left_behind(folder, token)


def _missing(folder: Path, is_default: bool) -> Iterator[Finding]:
    shown = printable(str(folder))
    if os.path.lexists(folder):
        raise StorageError(f"{shown} is not a folder", "Move it away, or name another folder with --dir.")
    if not is_default:
        hint = "Is the disk not mounted? If it is gone for good: luci config unset folders"
        yield doubt("folder", f"{shown} is not there, and models were installed into it once", hint)
        return
    fs.check_writable(folder)
    yield fine("folder", f"{shown} is not there yet; the first install makes it")


def _named(on: FileSystem | None) -> str:
    return f" ({on.kind})" if on else ""


def _peculiar(shown: str, on: FileSystem | None) -> Iterator[Finding]:
    if on and on.has_unreliable_locks:
        hint = "Others may write to it, too: each download has files of its own there, and cannot be resumed."
        yield doubt("folder", f"{shown} is on {on.description} ({on.kind}), which may grant a lock to everyone", hint)
    if on and on.holds_small_files_only:
        hint = "Use another folder for larger ones, with --dir."
        yield doubt("folder", f"{shown} is on a file system ({on.kind}) without files of 4 GiB or more", hint)
    if on and on.is_memory:
        yield doubt("folder", f"{shown} is in memory ({on.kind}): it is empty after a restart", "Name another folder.")


def _room(folder: Path, settings: Settings, is_default: bool) -> Finding:
    free = space.free_bytes(folder)
    told = f"{printable(str(folder))}: {human_size(free)} free, of which {human_size(settings.min_free)} stay free"
    if free >= settings.min_free:
        return fine("space", told)
    hint = "Free some space (luci clean, luci list), or lower min_free: luci config set min_free 100M"
    return fault("space", StorageError(told, hint)) if is_default else doubt("space", told, hint)


def _at_work(folder: Path) -> Iterator[Finding]:
    for run in running([folder]):
        yield fine(
            "running", f"{printable(run.model)}: pid {run.pid} on {printable(run.host)}, since {time_of_day(run.since)}"
        )


def _left_behind(folder: Path, token: CancelToken) -> Iterator[Finding]:
    """Orphans: only what takes room counts, for idle locks are left on purpose."""
    sizes: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, Cleaned) and event.kind != "lock":
            sizes.append(event.freed)

    clean(folder, None, True, token, note)
    if sizes:
        message = f"{printable(str(folder))}: {human_size(sum(sizes))} in {len(sizes)} files of unfinished downloads"
        hint = "Installing them again goes on from there; `luci clean` removes them."
        yield doubt("left over", message, hint)
    else:
        yield fine("left over", f"{printable(str(folder))}: nothing unfinished")
