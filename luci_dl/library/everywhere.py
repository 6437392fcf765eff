"""What the programs on this machine hold, and which bytes are on the disk twice. Reads no contents of models.

Digests come from names, manifests and receipts. Files that share blocks (reflinks) cannot be told from copies.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from luci_dl.disk.layout import OnError
from luci_dl.disk.storage_errors import storage_error
from luci_dl.frozen import frozen
from luci_dl.library.installed import installed
from luci_dl.library.programs import ProgramFile, program_files
from luci_dl.model import Digest

_LEAST = 1 << 20  # bytes; smaller files are no models


@frozen
class Held:
    """One file of a model that a program holds.

    Attributes:
        name: what the program calls it.
        sha256: empty if it is unknown.
        inode: its device and its number, the same for all names of one file.
    """

    program: str
    name: str
    path: Path
    size: int
    sha256: str
    inode: tuple[int, int]


@frozen
class Found:
    """A file, and the others with the same bytes.

    Attributes:
        twice: files with the same bytes elsewhere on the disk.
        perhaps: files of the same size elsewhere on the disk, where a digest is unknown.
        shared: other names of the same file, which take no room.
    """

    file: Held
    twice: tuple[Held, ...]
    perhaps: tuple[Held, ...]
    shared: tuple[Held, ...]


def everywhere(environ: Mapping[str, str], folders: Sequence[Path], on_error: OnError) -> list[Found]:
    """All models of luci and of the other programs. What cannot be read is passed to `on_error`."""
    held = list(_all(environ, folders, on_error))
    known = {each.inode: each.sha256 for each in held if each.sha256}  # a name may say what another one does not
    held = [replace(each, sha256=known.get(each.inode, "")) for each in held]
    of_inode, of_bytes = _grouped(held, lambda each: each.inode), _grouped(held, _bytes)
    of_size, unknown = _grouped(held, _size), _grouped((each for each in held if not each.sha256), _size)
    found = []
    for each in held:
        shared = tuple(other for other in of_inode[each.inode] if other.path != each.path)
        same = of_bytes[_bytes(each)] if each.sha256 else []
        alike = unknown.get(each.size, []) if each.sha256 else of_size[each.size]
        twice, perhaps = (tuple(other for other in some if other.inode != each.inode) for some in (same, alike))
        found.append(Found(each, twice, perhaps, shared))
    return found


def wasted(found: Iterable[Found]) -> int:
    """Bytes that could be saved at most, if every file were there once: of those whose digests are known."""
    of_bytes = _grouped((each.file for each in found if each.file.sha256), _bytes)
    return sum(size * (len({each.inode for each in same}) - 1) for (_, size), same in of_bytes.items())


def perhaps_wasted(found: Sequence[Found]) -> int:
    """Bytes that might be saved besides: of files whose digests are unknown, and which have the size of others."""
    unknown = {each.file.inode: each.file.size for each in found if not each.file.sha256}
    known = {each.file.size for each in found if each.file.sha256}
    sizes = Counter(unknown.values())
    return sum(size * (count - (size not in known)) for size, count in sizes.items())


def _size(held: Held) -> int:
    return held.size


def _bytes(held: Held) -> tuple[str, int]:
    """What files of the same bytes have in common; one of another size is damaged, whatever its name says."""
    return held.sha256, held.size


def _grouped(held: Iterable[Held], key: Callable[[Held], Any]) -> dict[Any, list[Held]]:
    found: dict[Any, list[Held]] = {}
    for each in held:
        found.setdefault(key(each), []).append(each)
    return found


def _all(environ: Mapping[str, str], folders: Sequence[Path], on_error: OnError) -> Iterator[Held]:
    """Everything, luci's own first."""
    for model in installed(folders, on_error):
        for file in model.files:
            digest = "" if file.state == "changed" else file.receipt.sha256
            own = ProgramFile("luci", model.reference, file.path, digest)
            yield from _held(own, 0, on_error)
    for other in program_files(environ, on_error):
        if other.name:
            yield from _held(other, _LEAST, on_error)


def _held(file: ProgramFile, least: int, on_error: OnError) -> Iterator[Held]:
    try:
        info = os.stat(file.path)
    except FileNotFoundError:
        return
    except OSError as error:
        on_error(file.path, storage_error("look at", file.path, error))
        return
    if stat.S_ISREG(info.st_mode) and info.st_size >= least:
        sha256 = file.digest if len(file.digest) == Digest.SHA256.digits else ""
        yield Held(file.program, file.name, file.path, info.st_size, sha256, (info.st_dev, info.st_ino))
