"""Checks a models folder: can files be written, locked and kept there, is there space, what was left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.config.settings import Settings
from luci_dl.disk import fs, space
from luci_dl.disk.filesystems import FileSystem, file_system, mounted_below
from luci_dl.disk.layout import staging_for
from luci_dl.disk.place import Places
from luci_dl.disk.probe import probe
from luci_dl.disk.same_folder import identity
from luci_dl.doctor.findings import failure, ok, warning
from luci_dl.errors import LuciError, StorageError
from luci_dl.events import Cleaned, Event, Finding
from luci_dl.library.clean import clean
from luci_dl.library.installed import installed
from luci_dl.library.problems import dangling, missing
from luci_dl.library.running import running
from luci_dl.text import counted, human_size, printable, time_of_day


def check_folder(folder: Path, settings: Settings, token: CancelToken) -> Iterator[Finding]:
    """Check one folder that was ever used. If it is missing or cannot be written, only that is reported."""
    is_default = folder in (settings.models_dir, settings.backup_models_dir)
    shown, on = printable(str(folder)), file_system(folder)
    with fs.storage_errors("look at", folder):
        exists = folder.is_dir()
    was_used = identity(folder) in map(identity, settings.folders)
    gone = dangling(folder) or (missing(folder) if was_used else None)
    if gone or not exists:
        yield _missing(folder, gone, is_default)
        return
    try:
        found = probe(folder)
    except StorageError as error:
        hint = "Nothing can be installed there; installed models can be used."
        yield failure("folder", error) if is_default else warning("folder", error.message, hint)
        return
    kind = f" ({on.kind})" if on else ""
    yield ok("folder", f"{shown}: files can be written, synced and renamed{kind}")
    if on:
        yield from _restrictions(shown, on)
    yield from _places(folder)
    yield _locks(shown, found.locks)
    if not found.preallocates:
        hint = "The free space is watched during a download instead."
        yield warning("space", f"{shown}: space cannot be preallocated", hint)
    yield _space(folder, settings.min_free, is_default)
    yield from _running(folder)
    yield _leftovers(folder, token)


def _missing(folder: Path, gone: StorageError | None, is_default: bool) -> Finding:
    shown = printable(str(folder))
    if gone:
        return failure("folder", gone) if is_default else warning("folder", gone.message, gone.hint)
    if os.path.lexists(folder):
        raise StorageError(f"{shown} is not a folder", "Move it away, or name another folder with --dir.")
    fs.check_writable(folder)
    return ok("folder", f"{shown} does not exist yet; the first install creates it")


def _restrictions(shown: str, on: FileSystem) -> Iterator[Finding]:
    """What this kind of file system cannot do."""
    if on.has_unreliable_locks:
        hint = "Others may write to it: each download uses private staging files there, and cannot be resumed."
        yield warning("folder", f"{shown} is on {on.description} ({on.kind}), where locks may not work", hint)
    if on.holds_small_files_only:
        hint = "Use another folder for larger files, with --dir."
        yield warning("folder", f"{shown} is on a file system ({on.kind}) without files of 4 GiB or more", hint)
    if on.is_memory:
        hint = "Use another folder."
        yield warning("folder", f"{shown} is in memory ({on.kind}): it is empty after a restart", hint)


def _places(folder: Path) -> Iterator[Finding]:
    """Where no finished file could be put: on another disk, and in the place of a file that may not be replaced."""
    for mount in mounted_below(folder):
        place = printable(mount.mounted_at)
        message = f"{place} is on another disk than {printable(str(folder))}, so nothing can be installed there"
        yield warning("folder", message, f"Install into it directly: --dir {place}")
    places = Places()
    for file in (file for model in installed([folder]) for file in model.files if file.state != "ok"):
        try:
            places.check(staging_for(folder, file.receipt.name))
        except LuciError as error:
            yield warning("folder", printable(error.message), error.hint)


def _locks(shown: str, work: bool) -> Finding:
    if work:
        return ok("locks", f"{shown}: locks work")
    hint = "Each download uses private staging files there, is read back, and cannot be resumed."
    return warning("locks", f"{shown}: the file system grants the same lock twice", hint)


def _space(folder: Path, min_free: int, is_default: bool) -> Finding:
    free = space.free_bytes(folder)
    if free is None:
        hint = "A full disk is noticed only when it refuses the next bytes."
        return warning("space", f"{printable(str(folder))}: the system does not say how much is free", hint)
    message = f"{printable(str(folder))}: {human_size(free)} free, of which {human_size(min_free)} must stay free"
    if free >= min_free:
        return ok("space", message)
    hint = "Free some space (luci clean, luci list), or lower min_free: luci config set min_free 100M"
    return failure("space", StorageError(message, hint)) if is_default else warning("space", message, hint)


def _running(folder: Path) -> Iterator[Finding]:
    """Installs that are running."""
    for run in running([folder]):
        who = f"pid {run.pid} on {printable(run.host)}, since {time_of_day(run.since)}"
        yield ok("running", f"{printable(run.model)}: {who}")


def _leftovers(folder: Path, token: CancelToken) -> Finding:
    """Orphaned staging files. Idle lock files do not count: they are left on purpose."""
    sizes: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, Cleaned) and event.kind != "lock":
            sizes.append(event.freed)

    clean(folder, None, True, token, note)
    if not sizes:
        return ok("left over", f"{printable(str(folder))}: no unfinished downloads")
    files = counted(len(sizes), "file")
    message = f"{printable(str(folder))}: {human_size(sum(sizes))} in {files} of unfinished downloads"
    return warning("left over", message, "Install those models again to resume, or remove the files with `luci clean`.")
