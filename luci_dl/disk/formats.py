"""What the files that luci keeps on disk have in common: a version, and values that may be anything until checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from luci_dl.errors import StorageError
from luci_dl.text import shown

VERSION = 1
"""Of locks, journals and commit records."""
_MOST = 1 << 62  # beyond that, system calls overflow


def check_version(fields: Mapping[str, Any], path: Path, newest: int = VERSION) -> None:
    """Raises: StorageError, when the file has none of the formats 1 to `newest`. It is left alone and reported."""
    version = fields.get("v")
    if type(version) is not int or not 1 <= version <= newest:
        raise StorageError(
            f"{path} has format {shown(version)}, this luci knows format {newest}",
            "Update luci, or remove the file to start over.",
        )


def is_count(value: object) -> TypeGuard[int]:
    """Whether it can be a number of bytes, an offset or an inode."""
    return type(value) is int and 0 <= value < _MOST
