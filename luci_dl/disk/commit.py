"""Commit records, and completing what a crash interrupted: it is rolled forward, never back.

A single part needs no record: its rename is the commit. For several parts, a commit record is written and synced first.
From then on the model counts as installed: the next process that takes the locks completes the renames.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, journal, receipt
from luci_dl.disk.formats import VERSION, check_version
from luci_dl.disk.hashing import hash_file
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, staging_for
from luci_dl.errors import StorageError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.model import Artifact

Files = list[tuple[str, CommitEntry]]
"""The content of a commit record: names below the models folder, and what is known of their bytes."""


def write_record(path: Path, files: Sequence[tuple[Staging, CommitEntry]]) -> None:
    """Make the files count as installed. All their parts and journals must be synced.

    Raises: StorageError; then they do not count as installed.
    """
    entries = [{"name": staging.name, "done": asdict(entry)} for staging, entry in files]
    try:
        fs.write_file(path, journal.encode({"v": VERSION, "files": entries}))
    except StorageError:
        fs.unlink(path)
        raise


def read_record(path: Path) -> Files | None:
    """The files of the record at `path`; None when there is none, or it is invalid.

    Raises: StorageError, when it or one of its receipts, has another format.
    """
    fields = journal.decode(fs.read_own(path) or b"")
    if fields is None:
        return None
    check_version(fields, path)
    listed = fields.get("files")
    found = [_file_from(each, path) for each in listed] if isinstance(listed, list) else [None]
    files = [each for each in found if each]
    return files if len(files) == len(found) else None


def _file_from(fields: Any, path: Path) -> tuple[str, CommitEntry] | None:
    if not (isinstance(fields, dict) and journal.is_valid_name(name := fields.get("name"))):
        return None
    entry = journal.entry_from(fields.get("done"), path)
    return (str(name), entry) if entry else None


def _staging(folder: Path, name: str, path: Path) -> Staging:
    """The paths of a file that a record at `path`, or a journal, names. Raises: StorageError."""
    try:
        return staging_for(folder, name)
    except UsageError as error:
        raise StorageError(f"{path} is about a file that cannot be here: {error.message}", "Remove it.") from error


def settle(staging: Staging, entry: CommitEntry) -> str:
    """After the rename: sync the target's name, write its receipt, remove its journal.

    Returns: why the name could not be synced, as `fs.sync_folder`. Raises: StorageError.
    """
    unsynced = fs.sync_folder(staging.target.parent)
    receipt.write(staging.receipt, entry.receipt, staging.new_receipt)
    fs.unlink(staging.journal)
    return unsynced


def finish_cut_off(staging: Staging, token: CancelToken) -> bool:
    """Complete the install of a single file if a crash interrupted it between rename and receipt. Under its lock.

    Returns: whether that was so. Raises: StorageError; Interrupted.
    """
    entry = cut_off(staging)
    if entry is None or not holds(staging.target, entry, token):
        return False
    settle(staging, entry)
    return True


def cut_off(staging: Staging) -> CommitEntry | None:
    """What the journal says of a single file whose part is no more: it was renamed, unless it was deleted."""
    log = journal.read(staging.journal)
    entry = log.entry if log else None
    return None if entry is None or entry.record or fs.is_own(staging.part) else entry


def record_of(staging: Staging) -> Path | None:
    """The path of the commit record that lists the target, if there is one. Raises: StorageError."""
    if read_record(staging.commit):
        return staging.commit
    log = journal.read(staging.journal)
    if not (log and log.entry and log.entry.record):
        return None
    path = _staging(staging.folder, log.entry.record, staging.journal).commit
    return path if read_record(path) else None


def complete(folder: Path, path: Path, wait: float | None, token: CancelToken, emit: Emit) -> list[str] | None:
    """Take the locks of all files of the commit record at `path`, and roll it forward.

    Returns: the names that are installed now; None when that is impossible for good. Raises: LockedError; Interrupted;
        StorageError.
    """
    from luci_dl.disk.locks import Locks  # who only looks for records does without

    files = read_record(path) or []
    staged = [(_staging(folder, name, path), entry) for name, entry in files]
    locks = Locks([(staging, Artifact(str(staging.name), (str(path),))) for staging, _ in staged], path.name)
    locks.acquire(wait, token, emit)
    try:
        if read_record(path) != files:
            return []  # another process completed it, and there may be a new one
        return [name for name, _ in files] if roll_forward(path, staged, token, emit) else None
    finally:
        locks.release("rolled forward")


def roll_forward(path: Path, files: Sequence[tuple[Staging, CommitEntry]], token: CancelToken, emit: Emit) -> bool:
    """Complete the renames of the record at `path`, which lists `files`, under the locks of all of them.

    Returns: False when that is impossible for good (a part is gone). Then the record is removed, and the remaining
        parts are like any others.
    Raises: StorageError; then record and parts stay. Interrupted, while a part whose inode changed is read.
    """
    for staging, entry in files:
        where = staging.part if fs.is_own(staging.part) else staging.target
        if not holds(where, entry, token):
            fs.unlink(path)
            return False
    rename_all(files)
    settle_all(path, files, emit)
    return True


def rename_all(files: Sequence[tuple[Staging, CommitEntry]]) -> None:
    """Do the renames of a written record. Raises: StorageError."""
    for staging, _ in files:
        fs.make_folder(staging.target.parent)
        if fs.is_own(staging.part):
            fs.rename(staging.part, staging.target)


def settle_all(path: Path | None, files: Sequence[tuple[Staging, CommitEntry]], emit: Emit) -> None:
    """After all renames: `settle` every file, even if one fails, and remove the record at `path`, if there is one.

    Emits a warning for each folder that could not be synced. Raises: StorageError, the first; then the record stays.
    """
    errors: list[StorageError] = []
    unsynced: dict[Path, str] = {}
    for staging, entry in files:
        try:
            unsynced[staging.target.parent] = settle(staging, entry)
        except StorageError as error:
            errors.append(error)
    warn_of_unsynced(unsynced, emit)
    if errors:
        raise errors[0]
    if path:
        fs.unlink(path)


def warn_of_unsynced(folders: Mapping[Path, str], emit: Emit) -> None:
    """Emit a warning for each folder with a reason why it could not be synced."""
    for folder, reason in folders.items():
        if reason:
            loss = "a power failure in the next minute may undo the install"
            emit(Warned(f"the folder {folder} cannot be synced: {reason}; {loss}"))


def holds(path: Path, entry: CommitEntry, token: CancelToken) -> bool:
    """Whether the file has the verified bytes. Raises: StorageError; Interrupted.

    It is read again if more than its name has changed: inode numbers are reused, and the same bytes with another inode,
    from a backup, say, are as good.
    """
    try:
        info = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(info.st_mode) or info.st_size != entry.size:
        return False
    if (info.st_ino, info.st_mtime_ns) == (entry.inode, entry.receipt.mtime_ns):
        return True
    return hash_file(path, token, lambda _done: None) == (entry.sha256, entry.size)
