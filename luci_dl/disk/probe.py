"""What works in a models folder: tried as an install would do it, and removed again."""

from __future__ import annotations

import secrets
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.disk.layout import staging_folder, staging_for
from luci_dl.disk.lock import Lock
from luci_dl.disk.place import rehearse
from luci_dl.frozen import frozen

_SOME = 1 << 16  # bytes to preallocate


@frozen
class Probe:
    """What works there. `locks`: a lock keeps others out; `preallocates`: blocks can be claimed beforehand."""

    locks: bool
    preallocates: bool


def probe(folder: Path) -> Probe:
    """Make, write, sync, rename and lock files in the staging of the folder, which must exist.

    `clean` removes what a crash leaves. Raises: StorageError, which says what failed.
    """
    staging = staging_for(folder, f"luci-doctor-{secrets.token_hex(4)}")
    made = fs.make_folder(staging_folder(folder.absolute()))
    fs.check_writable(staging.lock.parent)
    lock, other = Lock(staging.lock), Lock(staging.lock)
    try:
        lock.try_acquire()
        locks = not other.try_acquire()
        preallocates = _preallocates(staging.part)
        fs.write_file(staging.journal, b"written, synced and renamed\n")
        rehearse(staging)
        return Probe(locks, preallocates)
    finally:
        other.release()
        try:
            fs.unlink(staging.part)
            fs.unlink(staging.journal)
        finally:
            if lock.held:
                lock.unlink_and_release()
            for folder in reversed(made):
                fs.remove_empty(folder)


def _preallocates(path: Path) -> bool:
    file = fs.create(path)
    try:
        fs.allocate(file, _SOME)
    except OSError:
        return False
    return True
