"""The file SHA256SUMS of a models folder, as `sha256sum -c SHA256SUMS` reads it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.disk.layout import staging_for
from luci_dl.errors import IntegrityError
from luci_dl.frozen import frozen
from luci_dl.library.folder import ModelsFolder
from luci_dl.text import printable

NAME = "SHA256SUMS"
_LINE = re.compile(rb"(\\?)([0-9a-fA-F]{64}) [ *](.+)")
_ESCAPES = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}


@frozen
class Sums:
    """What the file says.

    Attributes:
        digests: of the named files, 64 hex digits, by the name below the folder.
        others: lines that are of another form.
    """

    digests: dict[str, str]
    others: tuple[bytes, ...] = ()


def read(folder: Path) -> Sums:
    """The content of the file; nothing if there is none. Its names are not checked.

    Raises: StorageError; IntegrityError, when it says two digests of one name.
    """
    digests, others = dict[str, str](), list[bytes]()
    for line in (fs.read_own(folder / NAME) or b"").splitlines():
        if found := _LINE.fullmatch(line):
            name = os.fsdecode(_unescaped(found[3]) if found[1] else found[3]).removeprefix("./")
            digest = found[2].decode().lower()
            if digests.setdefault(name, digest) != digest:
                what = f"{folder / NAME} has two SHA-256 digests for {printable(name)}"
                raise IntegrityError(what, "Remove the line that is wrong.")
        elif line:
            others.append(line)
    return Sums(digests, tuple(others))


def update(folder: Path) -> tuple[int, int]:
    """Write the file anew, with all files that luci has put into the folder. What it says of others stays.

    Returns: how many files luci has there, and their bytes together. Raises: StorageError.
    """
    before = read(folder)
    known = [each for each in ModelsFolder(folder).receipts() if os.path.exists(folder / each.name)]
    digests = {name: digest for name, digest in before.digests.items() if os.path.exists(folder / name)}
    digests |= {each.name: each.sha256 for each in known}
    lines = [*before.others, *(_line(name, digests[name]) for name in sorted(digests, key=os.fsencode))]
    if lines or os.path.lexists(folder / NAME):
        fs.write_file(folder / NAME, b"\n".join([*lines, b""]), new=staging_for(folder, NAME).new_receipt)
    return len(known), sum(each.size for each in known)


def _line(name: str, digest: str) -> bytes:
    raw = escaped = os.fsencode(name)
    for escape, char in _ESCAPES.items():
        escaped = escaped.replace(char, escape)
    return (b"\\" if escaped != raw else b"") + digest.encode() + b"  " + escaped


def _unescaped(name: bytes) -> bytes:
    return re.sub(rb"\\[\\nr]", lambda found: _ESCAPES[found[0]], name)
