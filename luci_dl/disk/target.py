"""What stands at a target already, and whether it is what the reference names."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from typing import Literal

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, receipt
from luci_dl.disk.hashing import Hashed, hash_blob, hash_file
from luci_dl.disk.layout import Staging
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from luci_dl.model import Artifact

Identity = tuple[int, int, int, int]
State = Literal["missing", "installed", "newer", "damaged", "adoptable", "foreign"]


@dataclass(frozen=True)
class Found:
    """What stands at a target.

    Attributes:
        state: "missing"; "installed" (right, and what is named); "newer" (right, but the reference names other bytes by
            now); "damaged" (luci installed it, and it has changed since); "adoptable" (luci did not install it, but
            it is right); "foreign" (luci did not install it, and it is wrong or nobody can tell; or it has the receipt
            of another name, which the file system holds to be the same).
        sha256: hex digits, where it is known; size: bytes; mtime_ns: of the file, from before it was read.
    """

    state: State
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    receipt: Receipt | None = None


def look(staging: Staging, artifact: Artifact, token: CancelToken, hashed: Hashed, *, only_look: bool = False) -> Found:
    """Reads the file only where receipt, size and mtime leave a doubt.

    Under the lock, unless it is to `only_look`: else a receipt of which only the mtime is out of date is refreshed.
    Raises: StorageError, when the target is a folder or cannot be read; Interrupted.
    """
    info = stat_of(staging)
    if info is None:
        return Found("foreign" if os.path.lexists(staging.target) else "missing")  # a symlink that leads nowhere
    moment = info.st_mtime_ns
    known = receipt.read(staging.receipt)
    if known is None:
        if not artifact.provable:
            return Found("foreign")
        digest, size = hash_file(staging.target, token, hashed)
        right = artifact.proves(digest, size, _blob_sha1(staging, artifact, size, token, hashed))
        return Found("adoptable" if right else "foreign", digest, size, moment)
    if known.name != staging.name:
        return Found("foreign", known.sha256, info.st_size, moment, known)
    if info.st_size != known.size:
        return Found("damaged", "", info.st_size, moment, known)
    if moment != known.mtime_ns:
        digest, size = hash_file(staging.target, token, hashed)
        if (digest, size) != (known.sha256, known.size):
            return Found("damaged", digest, size, moment, known)
        known = replace(known, mtime_ns=moment, verified=receipt.now())
        if not only_look:
            receipt.write(staging.receipt, known, staging.new_receipt)
    if known.proof == "none" and artifact.sha256 == known.sha256 and not only_look:
        known = replace(known, proof="sha256")  # a digest that came later
        receipt.write(staging.receipt, known, staging.new_receipt)
    blob_sha1 = _blob_sha1(staging, artifact, known.size, token, hashed)
    named = _is_named(known, artifact, blob_sha1)
    return Found("installed" if named else "newer", known.sha256, known.size, moment, known)


def identity_of(staging: Staging) -> Identity | None:
    """What another file at the target would change; None when there is none. Raises: StorageError, as `look`."""
    info = stat_of(staging)
    return info and (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)


def stat_of(staging: Staging) -> os.stat_result | None:
    """Of the file at the target; None when there is none. Raises: StorageError, when it is no file."""
    with fs.storage_errors("look at", staging.target):
        try:
            info = os.stat(staging.target)
        except FileNotFoundError:
            return None
    if not stat.S_ISREG(info.st_mode):
        raise StorageError(f"{staging.target} is not a file", "Move it away, or install under another name with -o.")
    return info


def _blob_sha1(staging: Staging, artifact: Artifact, size: int, token: CancelToken, hashed: Hashed) -> str | None:
    """Of the file at the target, where the artifact needs it: no receipt tells, and such files are small."""
    if artifact.blob_sha1 is None or artifact.size not in (None, size):
        return None
    return hash_blob(fs.open_to_read(staging.target), size, token, hashed)


def _is_named(known: Receipt, artifact: Artifact, blob_sha1: str | None) -> bool:
    """Whether the reference names the bytes of the receipt, as far as anybody can tell without asking a server."""
    right = artifact.proves(known.sha256, known.size, blob_sha1)
    return right and (artifact.provable or known.url in artifact.urls)
