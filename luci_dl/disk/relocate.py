"""Files of one file system get their places in another models folder, without a copy: all of them or none.

Each gets a second name as the part of its new target; from there on it is a commit like any other, and a crash is
rolled forward or leaves parts that `clean` removes. The first names stay: whoever calls removes them afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, in_lock_order
from luci_dl.disk.place import Places
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from luci_dl.events import Emit


def take(files: Sequence[tuple[Staging, Path, Receipt]], token: CancelToken, emit: Emit) -> bool:
    """Commit the files at new targets, at which there is nothing yet, under the locks of these.

    Args:
        files: the new place of each, where it is, and its receipt, which is up to date.

    Returns: False if there are two file systems, or one without hard links. Raises: StorageError; Interrupted. Then
        nothing has changed.
    """
    places, by_staging = Places(), {staging: (path, known) for staging, path, known in files}
    stagings = in_lock_order(by_staging)
    for staging in stagings:
        places.check(staging, by_staging[staging][1].size)
        fs.unlink(staging.part)
    record = stagings[0].commit
    try:
        for staging in stagings:
            fs.hard_link(by_staging[staging][0], staging.part)
    except StorageError:
        _forget(stagings)
        return False
    try:
        entries = [(staging, _entry(staging, by_staging[staging][1], str(stagings[0].name))) for staging in stagings]
        for folder in {staging.part.parent for staging in stagings}:
            fs.sync_folder(folder)
        if not all(commit.holds(staging.part, entry, token) for staging, entry in entries):
            raise StorageError("a file has changed while it was moved", "Check it: luci verify")
        token.check()
        commit.write_record(record, entries)
    except BaseException:
        _forget(stagings)
        raise
    commit.rename_all(entries)
    commit.settle_all(record, entries, emit)
    return True


def _entry(staging: Staging, known: Receipt, record: str) -> CommitEntry:
    with fs.storage_errors("look at", staging.part):
        inode = os.lstat(staging.part).st_ino
    return CommitEntry(known.size, known.sha256, inode, known, record)


def _forget(stagings: Sequence[Staging]) -> None:
    for staging in stagings:
        fs.unlink(staging.part)
