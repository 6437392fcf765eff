"""`luci shell`: the file that remembers the lines typed at its prompt."""

from __future__ import annotations

from pathlib import Path

from luci_dl.disk import fs


def append_history(file: Path, lines: bytes) -> None:
    """Add lines to the file, which is created if need be. Raises: StorageError."""
    fs.make_folder(file.parent)
    fs.append(file, lines)


def replace_history(file: Path, lines: bytes) -> None:
    """Replace the content of the file atomically. Raises: StorageError."""
    fs.write_file(file, lines, keep_mode=True)
