"""The file at a target path: what is there, and whether it is the artifact."""

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
State = Literal["missing", "installed", "newer", "damaged", "unproved", "adoptable", "foreign"]


@dataclass(frozen=True)
class Found:
    """What is at a target.

    Attributes:
        state: "missing"; "installed": luci installed it, and it is the artifact; "newer": it is as luci installed it,
            but the artifact is another version; "damaged": luci installed it, and it has changed since; "adoptable":
            luci did not install it, but it is the artifact; "foreign": luci did not install it, and it is not the
            artifact or cannot be checked, or its receipt belongs to another name that the file system considers the
            same; "unproved": luci did not install it, and it was not read (only `quick_look` says so).
        sha256: hex digits, if known; size: bytes; mtime_ns: from before the file was read.
    """

    state: State
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    receipt: Receipt | None = None


def quick_look(staging: Staging, artifact: Artifact) -> Found:
    """What is there by its receipt and size. The file is not read, so it may have changed all the same.

    Raises: StorageError, if the target is not a file or cannot be examined.
    """
    info = stat_of(staging)
    if info is None:
        return Found("foreign" if os.path.lexists(staging.target) else "missing")  # a symlink that is broken
    known = receipt.read(staging.receipt)
    if known is None:
        return Found("unproved", "", info.st_size, info.st_mtime_ns)
    state: State = "installed" if _is_version(known, artifact, artifact.blob_sha1) else "newer"
    if known.name != staging.name:
        state = "foreign"
    elif known.size != info.st_size:
        state = "damaged"
    return Found(state, known.sha256 if state != "damaged" else "", info.st_size, info.st_mtime_ns, known)


def look(staging: Staging, artifact: Artifact, token: CancelToken, hashed: Hashed, *, read_only: bool = False) -> Found:
    """What is there. The file is read only if it has no receipt, or its mtime is not that of the receipt.

    Args:
        read_only: leave a receipt that is out of date as it is. Without it the caller must hold the lock.

    Raises: StorageError, if the target is not a file or cannot be read; Interrupted.
    """
    found = quick_look(staging, artifact)
    if found.state == "unproved" and artifact.provable:
        return _compared(staging, artifact, found, token, hashed)
    if found.state == "unproved":
        return replace(found, state="foreign")
    if found.state not in ("installed", "newer") or found.receipt is None:
        return found
    known = found.receipt
    if found.mtime_ns != known.mtime_ns:
        digest, size = hash_file(staging.target, token, hashed)
        if (digest, size) != (known.sha256, known.size):
            return replace(found, state="damaged", sha256=digest, size=size)
        known = replace(known, mtime_ns=found.mtime_ns, verified=receipt.now())
    if known.proof == "none" and artifact.sha256 == known.sha256:
        known = replace(known, proof="sha256")  # the digest became known after the install
    if known != found.receipt and not read_only:
        receipt.write(staging.receipt, known, staging.new_receipt)
    same = _is_version(known, artifact, _blob_sha1(staging, artifact, known.size, token, hashed))
    return replace(found, state="installed" if same else "newer", receipt=known)


def identity_of(staging: Staging) -> Identity | None:
    """What differs when the file at the target is replaced; None if there is none. Raises: StorageError, as `look`."""
    info = stat_of(staging)
    return info and (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)


def stat_of(staging: Staging) -> os.stat_result | None:
    """Of the file at the target; None if there is none. Raises: StorageError, if it is something else."""
    with fs.storage_errors("look at", staging.target):
        try:
            info = os.stat(staging.target)
        except FileNotFoundError:
            return None
    if not stat.S_ISREG(info.st_mode):
        raise StorageError(f"{staging.target} is not a file", "Move it away, or install under another name with -o.")
    return info


def _compared(staging: Staging, artifact: Artifact, found: Found, token: CancelToken, hashed: Hashed) -> Found:
    digest, size = hash_file(staging.target, token, hashed)
    right = artifact.proves(digest, size, _blob_sha1(staging, artifact, size, token, hashed))
    return replace(found, state="adoptable" if right else "foreign", sha256=digest, size=size)


def _blob_sha1(staging: Staging, artifact: Artifact, size: int, token: CancelToken, hashed: Hashed) -> str | None:
    """Of the file at the target, if the artifact has one: receipts do not record it, and such files are small."""
    if artifact.blob_sha1 is None or artifact.size not in (None, size):
        return None
    return hash_blob(fs.open_to_read(staging.target), size, token, hashed)


def _is_version(known: Receipt, artifact: Artifact, blob_sha1: str | None) -> bool:
    """Whether the bytes of the receipt are the artifact's, as far as that is known without asking a server."""
    right = artifact.proves(known.sha256, known.size, blob_sha1)
    return right and (artifact.provable or known.url in artifact.urls)
