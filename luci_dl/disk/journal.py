"""The journal of a part: whose bytes these are, and the digests of its prefixes that were safely on disk.

Append-only. Each line is a CRC-32 of the rest of it, a space, and a JSON object; reading stops at the first line that
is torn or wrong. The first line identifies the bytes; then come `{"at": OFFSET, "sha256": HEX}` for the part up to
that offset, and, when all is checked, one `CommitEntry`. A line is written after the data that it speaks of is synced.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.disk.guarded_file import Gate
from luci_dl.errors import StorageError, UsageError
from luci_dl.names import check_name

VERSION = 1


@dataclass(frozen=True)
class Header:
    """What identifies the bytes of a part.

    Attributes:
        name: the target's path below the models folder.
        size: bytes, if known.
        sha256, lfs_pointer_sha1, blob_sha1: the digests to expect, those that are known.
        validators: for each address that gave bytes, its strong ETag.
    """

    name: str
    size: int | None
    sha256: str | None
    lfs_pointer_sha1: str | None
    validators: Mapping[str, str] = field(default_factory=dict)
    blob_sha1: str | None = None


@dataclass(frozen=True)
class CommitEntry:
    """The part is complete, checked and synced: it may be renamed.

    Attributes:
        inode: the part's, which the rename carries over to the target.
        receipt: the receipt that the target will get, as its JSON object.
        record: when the part is one of several, the name of the target beside whose staging files the commit record
            lies; else None.
    """

    size: int
    sha256: str
    inode: int
    receipt: Mapping[str, Any]
    record: str | None


@dataclass(frozen=True)
class Log:
    """What a journal says. `checkpoints` are pairs of an offset and the SHA-256 up to there, in the order written."""

    header: Header
    checkpoints: tuple[tuple[int, str], ...]
    done: CommitEntry | None
    end: int
    """Bytes of the journal that were understood; what follows is torn."""


def encode(fields: Mapping[str, Any]) -> bytes:
    """One line that checks itself."""
    text = json.dumps(fields, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> dict[str, Any] | None:
    """The object of one line; None when the line is torn or wrong."""
    text = line[9:].rstrip(b"\n")
    if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(text):
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def check_version(fields: Mapping[str, Any], path: Path) -> None:
    """Raises: StorageError, when the file was written in another format; it is left untouched."""
    if fields.get("v") != VERSION:
        raise StorageError(
            f"{path} has format {fields.get('v')!r}, this luci knows format {VERSION}",
            "Update luci, or remove the file to start over.",
        )


def read(path: Path) -> Log | None:
    """What the journal at `path` says; None when there is none or its first line is torn or makes no sense.

    Raises: StorageError, when it cannot be read or has another format.
    """
    if not fs.is_own(path):
        return None
    with fs.storage_errors("read", path):
        raw = path.read_bytes()
    lines = raw.splitlines(keepends=True)
    first = decode(lines[0]) if lines else None
    if first is None:
        return None
    check_version(first, path)
    header = _header_from(first)
    if header is None:
        return None
    checkpoints: list[tuple[int, str]] = []
    done: CommitEntry | None = None
    end = len(lines[0])
    for line in lines[1:]:
        said = _said(decode(line) or {})
        if said is None:
            break
        end += len(line)
        if isinstance(said, CommitEntry):
            done = said
        else:
            checkpoints.append(said)
    return Log(header, tuple(checkpoints), done, end)


def _header_from(fields: Mapping[str, Any]) -> Header | None:
    try:
        header = Header(**{key: value for key, value in fields.items() if key != "v"})
        check_name(header.name)
    except (TypeError, AttributeError, UsageError):
        return None
    return header if isinstance(header.size, int | None) and isinstance(header.validators, dict) else None


def _said(fields: Mapping[str, Any]) -> tuple[int, str] | CommitEntry | None:
    """What a line after the first says: a mark, or that all is done; None when it makes no sense."""
    if "done" in fields:
        return done_from(fields["done"])
    at, sha256 = fields.get("at"), fields.get("sha256")
    return (at, sha256) if isinstance(at, int) and isinstance(sha256, str) else None


def done_from(fields: Any) -> CommitEntry | None:
    """What `asdict` made of a `CommitEntry`; None when it makes no sense.

    Another user of the folder may have written it.
    """
    try:
        done = CommitEntry(**fields)
        if done.record is not None:
            check_name(done.record)
    except (TypeError, AttributeError, UsageError):
        return None
    return done if type(done.size) is type(done.inode) is int and isinstance(done.receipt, dict) else None


class Journal:
    """The journal of a part that is being filled. Every change raises: Revoked, when the gate is closed."""

    def __init__(self, path: Path, gate: Gate | None = None) -> None:
        self.path = path
        self._gate = gate or Gate()
        self._file: fs.File | None = None
        self._end = 0

    def begin(self, header: Header) -> None:
        """Start over with this header, in a new file. Raises: StorageError."""
        with self._gate.naming():
            fs.unlink(self.path)
            self._file, self._end = fs.create(self.path), 0
            self._append({"v": VERSION, **asdict(header)})

    def resume(self, log: Log) -> None:
        """Continue behind the last good line. Raises: StorageError."""
        with self._gate.naming():
            file = fs.open_own(self.path)
            if file:
                fs.set_length(file, log.end)
            self._file, self._end = file, log.end

    def checkpoint(self, offset: int, sha256: str) -> None:
        """Record that the first `offset` bytes of the part are on disk and have this digest. Raises: StorageError."""
        with self._gate.change():
            self._append({"at": offset, "sha256": sha256})

    def finish(self, entry: CommitEntry) -> None:
        """Append the last line; when this returns, all lines and the name are on disk. Raises: StorageError."""
        with self._gate.change():
            self._append({"done": asdict(entry)})
        fs.sync_data(self._open_file())
        fs.sync_folder(self.path.parent)
        self.rest()

    def rest(self) -> None:
        """Close the file until the next line."""
        self._file = None

    def _append(self, fields: Mapping[str, Any]) -> None:
        line = encode(fields)
        fs.write_at(self._open_file(), line, self._end)
        self._end += len(line)

    def _open_file(self) -> fs.File:
        if self._file is None:
            with self._gate.naming():
                self._file = fs.open_own(self.path)
            if self._file is None or self._file.size != self._end:
                raise StorageError(f"another program replaced or deleted {self.path}", "Install again.")
        return self._file
