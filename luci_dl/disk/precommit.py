"""Before the last rename: is everything still ours, and what we think it is?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs, target
from luci_dl.disk.hashing import Hashed, hash_file
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, staging_folder
from luci_dl.disk.part import Part
from luci_dl.errors import StorageError


def check_parts(files: Sequence[tuple[Staging, CommitEntry]], reference: str, token: CancelToken) -> None:
    """Each part's name leads to the file that was verified, or to the same bytes. Raises: StorageError; Interrupted."""
    for staging, entry in files:
        if not commit.holds(staging.part, entry, token):
            raise touched(staging, reference)


def touched(staging: Staging, reference: str) -> StorageError:
    return StorageError(
        f"another program touched the staging files of {reference} in {staging_folder(staging.folder)}",
        "Does a program clean up there, or does the file system not keep locks? Install again.",
    )


def check_target(staging: Staging, seen: target.Identity | None, is_right: Callable[[], bool]) -> None:
    """Check that no other process put a file there since it was `seen`, unless it `is_right`. Raises: StorageError."""
    there = target.identity_of(staging)
    if there and there != seen and not is_right():
        raise StorageError(
            f"somebody else put a file at {staging.target} while it was downloaded",
            "Install again, and it is looked at.",
        )


def read_back(part: Part, digest: str, token: CancelToken, hashed: Hashed) -> None:
    """What the disk gives back is what was written. Raises: StorageError; Interrupted."""
    path = part.staging.part
    fs.forget_cached(path)
    found, _ = hash_file(path, token, hashed)
    if found != digest:
        raise StorageError(
            f"{path} does not read back as it was written: its SHA-256 is {found}, expected {digest}",
            "Is the connection to its disk sound? Install again, or into another folder with --dir.",
        )
