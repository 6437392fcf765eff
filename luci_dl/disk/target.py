"""The file at a target path: what is there, and whether it is the artifact."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Literal

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, receipt
from luci_dl.disk.blocks import BLOCK, BlockHash, Blocks
from luci_dl.disk.hashing import Hashed, hash_again, hash_file
from luci_dl.disk.layout import Staging
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen
from luci_dl.model import Artifact, Content
from luci_dl.text import distinct_address

Identity = tuple[int, int, int, int]
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
State = Literal["missing", "installed", "newer", "elsewhere", "damaged", "unproved", "adoptable", "foreign"]


@frozen
class Found:
    """What is at a target.

    Attributes:
        state: "missing"; "installed": luci installed it, and it is the artifact; "newer": it is as luci installed it,
            but the artifact is another version; "elsewhere": the same, but it came from another address, and no digest
            shows whether the artifact is another version; "damaged": luci installed it, and it has changed since;
            "adoptable": luci did not install it, but it is the artifact; "foreign": luci did not install it, and it is
            not the artifact or cannot be checked, or its receipt belongs to another name that the file system considers
            the same; "unproved": luci did not install it, and it was not read (only `quick_look` says so).
        sha256: hex digits, if known; size: bytes; mtime_ns: from before the file was read.
        xxh3: the text of its blocks, if luci did not install it and it was read.
    """

    state: State
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    receipt: Receipt | None = None
    xxh3: str = ""


def quick_look(staging: Staging, artifact: Artifact) -> Found:
    """What is there by its receipt and size. The file is not read, so it may have changed all the same.

    Raises: StorageError, if the target is not a file or cannot be examined.
    """
    info = stat_of(staging)
    if info is None:
        return Found("missing")
    known = receipt.read(staging.receipt)
    if known is None:
        return Found("unproved", "", info.st_size, info.st_mtime_ns)
    state = _state_by(known, artifact)
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
        read = BlockHash()
        digest, size = hash_file(staging.target, token, hashed, read)
        is_right = artifact.may_be(digest, size) and _has_digests(staging, artifact, digest, size, token, hashed)
        found = replace(found, sha256=digest, size=size, xxh3=read.blocks.text())
        return replace(found, state="adoptable" if is_right else "foreign")
    if found.state == "unproved":
        return replace(found, state="foreign")
    if found.state not in ("installed", "newer", "elsewhere") or found.receipt is None:
        return found
    known = found.receipt
    if found.mtime_ns != known.mtime_ns:
        again = read_again(staging, known, found.mtime_ns, token, hashed)
        if again.receipt is None:
            return replace(found, state="damaged", sha256=again.sha256, size=again.size)
        known = again.receipt
    if known.proof == "none" and artifact.sha256 == known.sha256:
        known = replace(known, proof="sha256")  # the digest became known after the install
    if known != found.receipt and not read_only:
        receipt.write(staging.receipt, known, staging.new_receipt)
    state = _state_by(known, artifact)
    if state == "installed" and not _has_digests(staging, artifact, known.sha256, known.size, token, hashed):
        state = "newer"
    return replace(found, state=state, receipt=known)


@frozen
class Reread:
    """An installed file that was read again.

    Attributes:
        blocks: the digests of its blocks.
        receipt: with the results; None if the bytes are not those that were installed.
    """

    sha256: str
    size: int
    blocks: Blocks
    receipt: Receipt | None


def read_again(staging: Staging, known: Receipt, mtime_ns: int, token: CancelToken, hashed: Hashed) -> Reread:
    """Hash the file at the target, which may have changed since its receipt was written: `known`.

    Args:
        mtime_ns: of the file, from before.

    Raises: StorageError, if it cannot be read; Interrupted.
    """
    found = BlockHash()
    sha256, size = hash_file(staging.target, token, hashed, found)
    is_right = (sha256, size) == (known.sha256, known.size)
    new = replace(known, mtime_ns=mtime_ns, verified=receipt.now(), xxh3=found.blocks.text()) if is_right else None
    return Reread(sha256, size, found.blocks, new)


def to_mend(found: Found, artifact: Artifact) -> Receipt | None:
    """The receipt of a damaged file, if it knows the artifact's blocks, and a digest will prove the whole; else None.

    Of a file of one block nothing would be left.
    """
    known = found.receipt if found.state == "damaged" else None
    has_blocks = known and known.xxh3 and known.size > BLOCK and artifact.may_be(known.sha256, known.size)
    return known if has_blocks and artifact.provable else None


def identity_of(staging: Staging) -> Identity | None:
    """What differs when the file at the target is replaced; None if there is none. Raises: StorageError, as `look`."""
    info = stat_of(staging)
    return info and (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)


def stat_of(staging: Staging) -> os.stat_result | None:
    """Of the file at the target; None if there is none. Raises: StorageError, if it is something else."""
    with fs.storage_errors("look at", staging.target):
        try:
            info = os.stat(staging.target)
        except OSError as error:
            _check_no_link(staging.target)
            if isinstance(error, FileNotFoundError):
                return None
            raise
    if not stat.S_ISREG(info.st_mode):
        link = "a symlink to " if os.path.islink(staging.target) else ""
        kind = _KINDS.get(stat.S_IFMT(info.st_mode), "something else")
        message = f"{staging.target} is not a file but {link}{kind}"
        raise StorageError(message, "Move it away, or install under another name with -o.")
    return info


def _check_no_link(path: Path) -> None:
    """Raises: StorageError, when there is a symlink, which leads nowhere."""
    with contextlib.suppress(OSError):
        where = os.readlink(path)
        raise StorageError(
            f"{path} is a symlink to {where}, which cannot be reached",
            "Mount the disk that it leads to, or remove the symlink; then run the command again.",
        )


def _has_digests(
    staging: Staging, artifact: Artifact, sha256: str, size: int, token: CancelToken, hashed: Hashed
) -> bool:
    """Whether the file at the target has all digests of the artifact; it is read for those that no receipt records."""
    further = hash_again(fs.open_to_read(staging.target), size, artifact.unread, token, hashed)
    return artifact.matches(Content(sha256, size, further))


def _state_by(known: Receipt, artifact: Artifact) -> State:
    """The state of a file that is as its receipt says, as far as that is known without reading or asking."""
    if not artifact.may_be(known.sha256, known.size):
        return "newer"
    is_from_there = known.url in map(distinct_address, artifact.urls)
    return "installed" if artifact.provable or is_from_there else "elsewhere"
