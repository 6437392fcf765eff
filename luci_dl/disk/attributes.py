"""Attributes of files and folders (chattr) that keep even root from changing them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from pathlib import Path

from luci_dl.errors import CannotHold

_FS_IOC_GETFLAGS = 0x80086601  # <linux/fs.h>
_ATTRIBUTES = {0x10: ("immutable", "i"), 0x20: ("append-only", "a")}


def check_attributes(path: Path, doing: str) -> None:
    """Raises: CannotHold, when the file or folder is immutable or append-only: "cannot DOING PATH: it is ..."."""
    if error := attribute_error(f"cannot {doing} {path}", path, path):
        raise error


def attribute_error(what: str, path: Path, *places: Path) -> CannotHold | None:
    """The error for `what` cannot be done to `path`, if one of the places, it or its folder, has such an attribute."""
    for place in places:
        flags = _flags(place)
        for flag, (attribute, letter) in _ATTRIBUTES.items():
            if flags & flag:
                which = "it" if place == path else f"the folder {place}"
                hint = f"Change that (chattr -{letter}), or choose another folder with --dir."
                return CannotHold(f"{what}: {which} is {attribute}", hint, os.strerror(errno.EPERM))
    return None


def _flags(path: Path) -> int:
    """What `lsattr` shows; 0 where that cannot be read."""
    flags = bytearray(8)  # a C long
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _FS_IOC_GETFLAGS, flags)
        finally:
            os.close(fd)
    return int.from_bytes(flags, sys.byteorder)
