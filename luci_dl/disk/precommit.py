"""The checks right before the rename: lock files, parts and targets are what they should be."""

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
    """Check that each part's name leads to the file that was verified, or to the same bytes.

    Raises: StorageError; Interrupted.
    """
    for staging, entry in files:
        if not commit.holds(staging.part, entry, token):
            raise touched(staging, reference)


def touched(staging: Staging, reference: str) -> StorageError:
    """The error for staging files that another program changed."""
    return StorageError(
        f"another program touched the staging files of {reference} in {staging_folder(staging.folder)}",
        "Check whether a program cleans up there, or the file system does not support locks; then install again.",
    )


def check_target(staging: Staging, seen: target.Identity | None, is_right: Callable[[], bool]) -> None:
    """Check that no file was put at the target since `seen`, unless it `is_right`. Raises: StorageError."""
    found = target.identity_of(staging)
    if found and found != seen and not is_right():
        raise StorageError(
            f"another program put a file at {staging.target} while it was downloaded",
            "Run the install command again: it checks that file.",
        )


def read_back(part: Part, digest: str, token: CancelToken, hashed: Hashed) -> None:
    """Check that the disk returns what was written. Raises: StorageError; Interrupted."""
    path = part.staging.part
    fs.forget_cached(path)
    found, _ = hash_file(path, token, hashed)
    if found != digest:
        raise StorageError(
            f"{path} does not read back as it was written: its SHA-256 is {found}, expected {digest}",
            "Check the disk and its connection; install again, or into another folder with --dir.",
        )
