"""Checks files on disk by their contents."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.formats.check import check_whole


def check_contents(path: Path, name: str) -> None:
    """Check that the file at `path` is what `name` says, and whole, as far as that shows without a digest.

    Raises: OtherFile; IntegrityError; StorageError.
    """
    file = fs.open_to_read(path)
    check_whole(name, partial(fs.read_at, file), file.size)
