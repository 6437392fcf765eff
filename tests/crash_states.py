"""Compare what crashes leave on the disk: states that the next run cannot tell apart are equal."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

TIME = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.+]+")
OF_THE_PROCESS = re.compile(rb'"(nonce|pid|rate)": ?("\w*"|[\d.]+)')
NUMBER = re.compile(rb'"(inode|mtime_ns)": ?(\d+)')
CHECKSUM = re.compile(rb"^([0-9a-f]{8}) (.*)$", re.MULTILINE)


def state_of(folder: Path, *differing: str) -> str:
    """A digest of the names, modes and contents of everything in the folder.

    It leaves out what differs between equal runs: timestamps, the process, and matches of the `differing` patterns.
    Inodes and modification times in luci's own files are replaced by the name of the file that has them.
    """
    paths = sorted(folder.rglob("*"))
    known = {b"%d" % number: str(path.relative_to(folder)).encode() for path in paths for number in _numbers(path)}
    digest = hashlib.sha256()
    for path in paths:
        data = path.read_bytes() if path.is_file() else b""
        if path.parent.name == ".luci" and path.suffix != ".part":
            data = _steady(data, known, differing)
        digest.update(f"{path.relative_to(folder)} {path.stat().st_mode:o} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _numbers(path: Path) -> Iterator[int]:
    info = path.stat()
    yield from (info.st_ino, info.st_mtime_ns)


def _steady(data: bytes, known: dict[bytes, bytes], differing: tuple[str, ...]) -> bytes:
    data = CHECKSUM.sub(lambda line: b"%d %b" % (int(line[1], 16) == zlib.crc32(line[2]), line[2]), data)
    data = NUMBER.sub(lambda found: b'"%b": "%b"' % (found[1], known.get(found[2], b"of no file")), data)
    for pattern in (TIME, OF_THE_PROCESS, *(re.compile(text.encode()) for text in differing)):
        data = pattern.sub(b"", data)
    return data
