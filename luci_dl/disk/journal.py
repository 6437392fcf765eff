"""The journal of a part: whose bytes these are, and the digests of its prefixes that were safely on disk.

Append-only. Each line is a CRC-32 of the rest of it, a space, and a JSON object; reading stops at the first line that
is torn or invalid. The first line identifies the bytes; then come checkpoints, `{"at": OFFSET, "sha256": HEX}` for the
part up to that offset, and, when all is verified, one `CommitEntry`. A line is written after the data that it is about
is synced.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.disk.formats import VERSION, check_version, is_count
from luci_dl.disk.guarded_file import Gate
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.watch import vanished
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Digest
from luci_dl.names import check_name
from luci_dl.text import public_address


@frozen
class Header:
    """What identifies the bytes of a part.

    Attributes:
        name: the target's path below the models folder.
        size: bytes, if known.
        sha256, digests: the expected digests, as far as they are known.
        validators: for each public address that gave bytes, its strong ETag.
    """

    name: str
    size: int | None
    sha256: str | None
    digests: Mapping[Digest, str] = field(default_factory=dict)
    validators: Mapping[str, str] = field(default_factory=dict)

    def validator(self, url: str) -> str | None:
        """That of the address, whatever its query is now; None if there is none."""
        return self.validators.get(public_address(url))

    def to_json(self) -> dict[str, Any]:
        """Every kind of digest has a key of its own."""
        digests = {digest.key: self.digests.get(digest) for digest in Digest} | {"sha256": self.sha256}
        return {"name": self.name, "size": self.size, **digests, "validators": self.validators}


@frozen
class CommitEntry:
    """The part is complete, verified and synced: it may be renamed.

    Attributes:
        inode: the part's, which the rename carries over to the target.
        receipt: the one that the target will get.
        record: for one of several files, the name of the target that the commit record lies beside; else None.
    """

    size: int
    sha256: str
    inode: int
    receipt: Receipt
    record: str | None


@frozen
class Log:
    """The content of a journal.

    Attributes:
        checkpoints: pairs of an offset and the SHA-256 up to there, in the order written.
        entry: the last line, when all was verified.
        end: bytes of the journal that were understood; what follows is torn.
    """

    header: Header
    checkpoints: tuple[tuple[int, str], ...]
    entry: CommitEntry | None
    end: int

    @property
    def proved(self) -> int:
        """Bytes of the part that a checkpoint can prove."""
        return max((offset for offset, _ in self.checkpoints), default=0)


def encode(fields: Mapping[str, Any]) -> bytes:
    """One line, with its checksum."""
    text = json.dumps(fields, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> dict[str, Any] | None:
    """The object of one line; None when the line is torn or invalid."""
    text = line[9:].rstrip(b"\n")
    if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(text):
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def read(path: Path) -> Log | None:
    """The content of the journal at `path`; None when there is none or its first line is torn or invalid.

    Raises: StorageError, when it cannot be read or has another format.
    """
    lines = (fs.read_own(path) or b"").splitlines(keepends=True)
    first = decode(lines[0]) if lines else None
    if first is None:
        return None
    check_version(first, path)
    header = _header_from(first)
    if header is None:
        return None
    checkpoints: list[tuple[int, str]] = []
    entry: CommitEntry | None = None
    end = len(lines[0])
    for line in lines[1:]:
        fields = decode(line) or {}
        if "done" in fields:
            if not (found := entry_from(fields["done"], path)):
                break
            entry = found
        elif checkpoint := _checkpoint_from(fields, header.size):
            checkpoints.append(checkpoint)
        else:
            break
        end += len(line)
    return Log(header, tuple(checkpoints), entry, end)


def _header_from(fields: Mapping[str, Any]) -> Header | None:
    rest = {key: value for key, value in fields.items() if key != "v"}
    digests: dict[Digest, Any] = {digest: rest.pop(digest.key, None) for digest in Digest}
    sha256 = digests.pop(Digest.SHA256)
    try:
        rest["validators"] = {public_address(url): found for url, found in rest.get("validators", {}).items()}
        header = Header(sha256=sha256, digests={digest: hex_ for digest, hex_ in digests.items() if hex_}, **rest)
    except (TypeError, AttributeError):
        return None
    valid = (
        is_valid_name(header.name)
        and (header.size is None or is_count(header.size))
        and all(isinstance(hex_, str | None) for hex_ in (sha256, *digests.values()))
        and all(isinstance(validator, str) for validator in header.validators.values())
    )
    return header if valid else None


def _checkpoint_from(fields: Mapping[str, Any], size: int | None) -> tuple[int, str] | None:
    at, sha256 = fields.get("at"), fields.get("sha256")
    if not (is_count(at) and isinstance(sha256, str)) or (size is not None and at > size):
        return None
    return at, sha256


def entry_from(fields: Any, path: Path) -> CommitEntry | None:
    """What `asdict` made of a `CommitEntry`; None when it is invalid: another user of the folder may have written it.

    Raises: StorageError, when its receipt has another format than this luci knows.
    """
    if not (isinstance(fields, dict) and isinstance(receipt := fields.get("receipt"), dict)):
        return None
    if is_count(receipt.get("v")):
        check_version(receipt, path)
    try:
        entry = CommitEntry(**{**fields, "receipt": Receipt.from_json(receipt)})
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):
        return None
    valid = (
        is_count(entry.size)
        and is_count(entry.inode)
        and isinstance(entry.sha256, str)
        and (entry.record is None or is_valid_name(entry.record))
    )
    return entry if valid else None


def is_valid_name(value: object) -> bool:
    """Whether it can be a target's name."""
    try:
        return isinstance(value, str) and bool(check_name(value))
    except UsageError:
        return False


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
            self._append({"v": VERSION, **header.to_json()})

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
        self.close_until_used()

    def close_until_used(self) -> None:
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
                raise vanished(self.path)
        return self._file
