"""Commit records, and completing what a crash interrupted: it is rolled forward, never back.

A commit record is written and synced before the renames. From then on the model counts as installed: the next process
that takes the locks completes the renames, and writes the receipts. The record is removed when those are on disk.

A single part that has a journal needs no record: its rename is the commit, and the journal's last line is as good.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, journal, receipt
from luci_dl.disk.formats import VERSION, check_version
from luci_dl.disk.hashing import hash_file
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, commit_records, staging_for
from luci_dl.errors import StorageError, UsageError
from luci_dl.events import Emit, Warned
from luci_dl.model import Artifact
from luci_dl.names import target_key
from luci_dl.pool import run_side_by_side

SYNCS = 8
"""Receipts that are synced at the same time: the file system puts them on disk together."""
OPEN_RECEIPTS = 64
"""Receipts that are open at the same time."""
Files = list[tuple[str, CommitEntry | None]]
"""The content of a commit record: names below the models folder, and what is known of their bytes; None for a file of
an older version that is to be removed."""
Entries = Sequence[tuple[Staging, CommitEntry | None]]
"""The same, with the paths of the files."""


def write_record(path: Path, files: Entries) -> None:
    """Make the files of one model count as installed. All their parts must be synced, and the names of these.

    Raises: StorageError; then they do not count as installed.
    """
    names = next((entry.receipt.files for _, entry in files if entry), ())
    entries = [
        {"name": staging.name, "done": {**vars(entry), "receipt": _without_names(entry.receipt, names)}}
        for staging, entry in files
        if entry
    ]
    dropped = [staging.name for staging, entry in files if entry is None]
    more = {"dropped": dropped} if dropped else {}
    try:
        fs.write_file(path, journal.encode({"v": VERSION, "names": names, "files": entries, **more}))
    except StorageError:
        fs.unlink(path)
        raise


def _without_names(known: receipt.Receipt, names: Sequence[str]) -> dict[str, Any]:
    """The receipt without these names of all files of its model, which would make a record grow with their square."""
    return {key: value for key, value in vars(known).items() if key != "files" or value != names}


def read_record(path: Path) -> Files | None:
    """The files of the record at `path`; None when there is none, or it is invalid.

    Raises: StorageError, when it or one of its receipts, has another format.
    """
    fields = journal.decode(fs.read_own(path) or b"")
    if fields is None:
        return None
    check_version(fields, path)
    listed, names = fields.get("files"), fields.get("names")
    found = [_file_from(each, names, path) for each in listed] if isinstance(listed, list) else [None]
    files: Files = [each for each in found if each]
    dropped = fields.get("dropped", [])
    if len(files) < len(found) or not (isinstance(dropped, list) and all(map(journal.is_valid_name, dropped))):
        return None
    return [*files, *((name, None) for name in dropped)]


def _file_from(fields: Any, names: Any, path: Path) -> tuple[str, CommitEntry] | None:
    """`names`: of all files of the model; older records have them in each receipt."""
    if not (isinstance(fields, dict) and journal.is_valid_name(name := fields.get("name"))):
        return None
    entry = journal.entry_from(fields.get("done"), path, names)
    return (str(name), entry) if entry else None


def _staging(folder: Path, name: str, path: Path) -> Staging:
    """The paths of a file that a record at `path`, or a journal, names. Raises: StorageError."""
    try:
        return staging_for(folder, name)
    except UsageError as error:
        raise StorageError(f"{path} is about a file that cannot be here: {error.message}", "Remove it.") from error


def finish_cut_off(staging: Staging, token: CancelToken, emit: Emit) -> bool:
    """Complete the install of a single file if a crash interrupted it between rename and receipt. Under its lock.

    Returns: whether that was so. Raises: StorageError; Interrupted.
    """
    entry = cut_off(staging)
    if entry is None or not holds(staging.target, entry, token):
        return False
    settle_all(None, [(staging, entry)], emit)
    return True


def cut_off(staging: Staging) -> CommitEntry | None:
    """What the journal says of a single file whose part is no more: it was renamed, unless it was deleted."""
    log = journal.read(staging.journal)
    entry = log.entry if log else None
    return None if entry is None or entry.record or fs.is_own(staging.part) else entry


def records_of(folder: Path, stagings: Collection[Staging]) -> list[Path]:
    """The paths of the commit records in a models folder that list one of these targets.

    Raises: StorageError, when one that cannot be read, such as one of another format, may list a part that is there.
    """
    keys = {target_key(staging.name) for staging in stagings if staging.name}
    found = []
    for path in commit_records(folder):
        try:
            if any(target_key(name) in keys for name, _ in read_record(path) or ()):
                found.append(path)
        except StorageError:
            if any(path == staging.commit or os.path.lexists(staging.part) for staging in stagings):
                raise
    return found


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
        return [name for name, entry in files if entry] if roll_forward(path, staged, token, emit) else None
    finally:
        locks.release("rolled forward")


def roll_forward(path: Path, files: Entries, token: CancelToken, emit: Emit) -> bool:
    """Complete the renames of the record at `path`, which lists `files`, under the locks of all of them.

    Returns: False when that is impossible for good (a part is gone). Then the record is removed, and the remaining
        parts are like any others.
    Raises: StorageError; then record and parts stay. Interrupted, while a part whose inode changed is read.
    """
    for staging, entry in files:
        if entry and not holds(bytes_of(staging, entry), entry, token):
            fs.unlink(path)
            return False
    rename_all(files)
    settle_all(path, files, emit)
    return True


def bytes_of(staging: Staging, entry: CommitEntry) -> Path:
    """Where the verified bytes are until all is done: in the part or the source, and afterwards at the target."""
    if _is_placed(staging, entry):
        return Path(os.path.realpath(staging.target))
    return Path(entry.source) if entry.source else staging.part


def _is_placed(staging: Staging, entry: CommitEntry) -> bool:
    return os.path.lexists(staging.target) if entry.source else not fs.is_own(staging.part)


def rename_all(files: Entries) -> None:
    """Do the renames of a written record, and make the second names. Raises: StorageError."""
    to_place = [(staging, entry) for staging, entry in files if entry and not _is_placed(staging, entry)]
    for folder in dict.fromkeys(staging.target.parent for staging, _ in to_place):
        fs.make_folder(folder)
    for staging, entry in to_place:
        if entry.source:
            fs.hard_link(Path(entry.source), staging.target)
        else:
            fs.rename(staging.part, staging.target)


def settle_all(path: Path | None, entries: Entries, emit: Emit) -> None:
    """After all renames: sync the targets' names, write the receipts, remove what must go and the record at `path`.

    What must go are the journals, and the files of the older version that the new one does not have.

    All of that is tried for every file, even if one fails. Emits a warning for each folder that could not be synced.
    Raises: StorageError, the first; then the record stays.
    """
    errors: list[StorageError] = []
    files = [(staging, entry) for staging, entry in entries if entry]
    unsynced = _sync_folders({staging.target.parent for staging, _ in files}, errors)
    durable = [(staging, entry) for staging, entry in files if staging.target.parent in unsynced]
    for start in range(0, len(durable), OPEN_RECEIPTS):
        _write_receipts(durable[start : start + OPEN_RECEIPTS], errors)
    _sync_folders({staging.receipt.parent for staging, _ in durable}, errors)
    warn_of_unsynced(unsynced, emit)
    if errors:
        raise errors[0]
    for staging, entry in files:
        if entry.source:
            fs.unlink(staging.part)  # of a download that is not needed any more
        fs.unlink(staging.journal)
    if dropped := [staging for staging, entry in entries if entry is None]:
        from luci_dl.disk.succession import drop  # of an upgrade only

        drop(dropped)
    if path:
        fs.unlink(path)


def _write_receipts(files: Sequence[tuple[Staging, CommitEntry]], errors: list[StorageError]) -> None:
    """Write the receipts, then sync them side by side. What fails adds its error."""
    written: list[fs.File] = []
    for staging, entry in files:
        with _collected(errors):
            written.append(receipt.write(staging.receipt, entry.receipt, staging.new_receipt, sync=False))

    def sync(file: fs.File) -> None:
        with _collected(errors):
            fs.sync_data(file)

    run_side_by_side(sync, written, None, SYNCS)


def _sync_folders(folders: Collection[Path], errors: list[StorageError]) -> dict[Path, str]:
    """Returns: for each folder what `fs.sync_folder` says. Those that fail are left out, and add their error."""
    found = {}
    for folder in folders:
        with _collected(errors):
            found[folder] = fs.sync_folder(folder)
    return found


@contextlib.contextmanager
def _collected(errors: list[StorageError]) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        errors.append(error)


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
