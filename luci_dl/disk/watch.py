"""Watches the staging files of a transaction while it is filled: what vanishes is reported within two seconds.

What is looked for is in `Transaction.check_staging`; the free space is watched by `space.watch`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from luci_dl.errors import StorageError


class Watch:
    """Keeps what a look at the files found, for the thread that waits for the bytes.

    Args:
        files_are_there: raises StorageError for what is wrong. It may hang with the disk, and is not waited for.
    """

    def __init__(self, files_are_there: Callable[[], None]) -> None:
        self._files_are_there = files_are_there
        self._error: StorageError | None = None
        self._ended = False

    def look(self) -> None:
        """Look once. Call this regularly, from a thread that may hang."""
        if not (self._error or self._ended):
            try:
                self._files_are_there()
            except StorageError as error:
                self._error = error

    def end(self) -> None:
        """Look no more: the files are about to be renamed or removed."""
        self._ended = True

    def check(self) -> None:
        """Raises: StorageError, which a look found."""
        if self._error:
            raise self._error


def vanished(path: Path) -> StorageError:
    """The error for a staging file whose name leads to no file any more, or to another one."""
    for folder in (*reversed(path.parents), path):
        try:
            os.lstat(folder)
        except (FileNotFoundError, NotADirectoryError):
            break
        except OSError as error:
            reason = error.strerror or str(error)
            hint = "Check the disk and its connection; then run the install command again."
            return StorageError(f"cannot reach {folder} any more: {reason}", hint, reason)
    if folder == path:
        hint = "Check whether a program cleans up there; then run the install command again."
        return StorageError(f"another program replaced or deleted {path}", hint)
    hint = "Put it back, or mount its disk again; then run the install command again."
    return StorageError(f"the folder {folder} is gone: it was deleted or renamed, or its disk was unmounted", hint)


def inode_at(path: Path) -> int | None:
    """The inode that the name leads to; None where it leads to nothing, or the disk does not say."""
    with contextlib.suppress(OSError):
        return os.lstat(path).st_ino
    return None
