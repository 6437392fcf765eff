"""From verified parts to installed files. What a crash cuts off here is rolled forward, never back.

A single part needs no record: its rename is the commit. Several get a commit record first, written and synced; once
it stands the model counts as installed, and whoever takes the locks next completes the renames.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, journal, receipt
from luci_dl.disk.journal import Done
from luci_dl.disk.prove import hash_file
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.staging import Staging, in_lock_order, staging_for
from luci_dl.errors import StorageError

VERSION = 1


def write_record(path: Path, files: Sequence[tuple[Staging, Done]]) -> None:
    """From now on the files count as installed. Every part and journal of theirs must be synced.

    Raises: StorageError; then they do not count.
    """
    for folder in {staging.part.parent for staging, _ in files}:
        fs.sync_folder(folder)
    entries = [{"name": staging.name, "done": asdict(done)} for staging, done in files]
    try:
        fs.write_file(path, journal.encode({"v": VERSION, "files": entries}))
    except StorageError:
        fs.unlink(path)
        raise


def read_record(path: Path) -> list[tuple[str, Done]] | None:
    """The names and facts in the record at `path`; None when there is none, or when it was never completed.

    Raises: StorageError, when it has another format.
    """
    if not fs.is_own(path):
        return None
    with fs.door("read", path):
        fields = journal.decode(path.read_bytes())
    if fields is None:
        return None
    journal.check_version(fields, path)
    return [(entry["name"], Done(**entry["done"])) for entry in fields["files"]]


def publish(staging: Staging) -> None:
    """Rename the part, which must be verified and synced, to its target; the name is on disk when this returns."""
    fs.rename(staging.part, staging.target)
    fs.sync_folder(staging.target.parent)


def settle(staging: Staging, done: Done) -> None:
    """The target stands: write its receipt, drop its journal."""
    mtime_ns = os.stat(staging.target).st_mtime_ns
    receipt.write(staging.receipt, replace(Receipt.from_json(done.receipt), mtime_ns=mtime_ns))
    fs.unlink(staging.journal)


def finish_cut_off(staging: Staging) -> bool:
    """Complete the install of a single file that a crash cut off between rename and receipt. Under its lock.

    Returns: whether there was one.
    """
    log = journal.read(staging.journal)
    if not log or not log.done or log.done.record or fs.is_own(staging.part):
        return False
    if not _is_inode(staging.target, log.done):
        return False
    settle(staging, log.done)
    return True


def record_of(staging: Staging) -> Path | None:
    """The commit record that the target is in, if one stands."""
    if fs.is_own(staging.commit):
        return staging.commit
    log = journal.read(staging.journal)
    path = staging.folder / log.done.record if log and log.done and log.done.record else None
    return path if path and fs.is_own(path) else None


def stagings_of(folder: Path, files: Iterable[tuple[str, Done]]) -> list[Staging]:
    """The stagings of a record's files, in the order in which locks are taken."""
    return in_lock_order(staging_for(folder, name) for name, _ in files)


def roll_forward(folder: Path, path: Path, token: CancelToken) -> list[str] | None:
    """Complete the renames of the record at `path`, while holding the locks of all its files.

    Returns: the names that are installed now; None when that can never succeed (a part is gone): the record is removed
        then, and what is left of the parts is like any other.
    Raises: StorageError; then record and parts stay. Interrupted, while a part whose inode changed is read.
    """
    files = read_record(path)
    if files is None:
        fs.unlink(path)
        return []
    by_name = [(staging_for(folder, name), done) for name, done in files]
    if not all(_can_finish(staging, done, token) for staging, done in by_name):
        fs.unlink(path)
        return None
    carry_out(path, by_name)
    return [name for name, _ in files]


def carry_out(path: Path, files: Sequence[tuple[Staging, Done]]) -> None:
    """The renames of a record that stands, then the receipts, and last the record's own end."""
    for staging, _ in files:
        fs.make_folder(staging.target.parent)
        if fs.is_own(staging.part):
            publish(staging)
    for staging, done in files:
        settle(staging, done)
    fs.unlink(path)


def _can_finish(staging: Staging, done: Done, token: CancelToken) -> bool:
    """Whether the verified bytes are there, as the part or already at the target."""
    path = staging.part if fs.is_own(staging.part) else staging.target
    if _is_inode(path, done):
        return True
    if not path.is_file():
        return False
    # The same bytes under another inode, restored from a backup, say, will do.
    return hash_file(path, token, lambda _done: None) == (done.sha256, done.size)


def _is_inode(path: Path, done: Done) -> bool:
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return (info.st_ino, info.st_size) == (done.inode, done.size)
