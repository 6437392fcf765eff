"""The journal of a part: whose bytes these are, and the digests of its prefixes that were safely on disk.

Append-only. Each line is a CRC-32 of the rest of it, a space, and a JSON object; reading stops at the first line that
is torn or invalid. The first line identifies the bytes; then come, in any order,

    {"at": OFFSET, "sha256": HEX}           a checkpoint: the SHA-256 of the part up to that offset
    {"blocks": NUMBER, "xxh3": TEXT}        the digests of blocks from that number on (see `blocks`), also far beyond
    {"missing": [[START, END], ...]}        what the lines before say of these bytes, or of all up to them, is void

and, when all is verified, one `CommitEntry`. A line is written after the data that it is about is synced.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.disk.block_sums import known_beyond
from luci_dl.disk.blocks import KIND, Blocks
from luci_dl.disk.formats import check_version, is_count
from luci_dl.disk.receipt import VERSION as RECEIPT_VERSION
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Digest
from luci_dl.names import check_name
from luci_dl.plan import Segment
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

    @property
    def provable(self) -> bool:
        """Whether a digest proves the whole, whichever responses its bytes came from."""
        return bool(self.sha256 or self.digests)

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
        source: the path of a file in another models folder that gets a second name, in place of a part; else empty.
    """

    size: int
    sha256: str
    inode: int
    receipt: Receipt
    record: str | None
    source: str = ""


@frozen
class Log:
    """The content of a journal.

    Attributes:
        checkpoints: pairs of an offset and the SHA-256 up to there, in the order written.
        entry: the last line, when all was verified.
        end: bytes of the journal that were understood; what follows is torn.
        blocks: the digests of blocks, at the checkpoints or beyond.
    """

    header: Header
    checkpoints: tuple[tuple[int, str], ...]
    entry: CommitEntry | None
    end: int
    blocks: Blocks = field(default_factory=Blocks)

    @property
    def proved(self) -> int:
        """Bytes of the part that the next run need not fetch if they are still there."""
        prefix = max((offset for offset, _ in self.checkpoints), default=0)
        size = self.header.size
        return prefix + (known_beyond(self.blocks, prefix, size) if self.header.provable and size else 0)


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
    reading = _Reading(header)
    end = len(lines[0])
    for line in lines[1:]:
        if not reading.take(decode(line) or {}, path):
            break
        end += len(line)
    return Log(header, tuple(reading.checkpoints), reading.entry, end, reading.blocks)


class _Reading:
    """What the lines after the first one say."""

    def __init__(self, header: Header) -> None:
        self.checkpoints: list[tuple[int, str]] = []
        self.entry: CommitEntry | None = None
        self.blocks = Blocks()
        self._size = header.size

    def take(self, fields: Mapping[str, Any], path: Path) -> bool:
        """Take the next line; False when it is invalid."""
        if "done" in fields:
            entry = entry_from(fields["done"], path)
            self.entry = entry or self.entry
            return entry is not None
        if "blocks" in fields:
            return KIND not in fields or self.blocks.read_text(fields["blocks"], fields[KIND], self._size)
        if "missing" in fields:
            return self._forget(fields["missing"])
        checkpoint = _checkpoint_from(fields, self._size)
        self.checkpoints += [checkpoint] if checkpoint else []
        return checkpoint is not None

    def _forget(self, missing: Any) -> bool:
        if not (isinstance(missing, list) and missing and all(map(_is_range, missing))):
            return False
        for start, end in missing:
            self.checkpoints = [each for each in self.checkpoints if each[0] <= start]
            self.blocks.forget(Segment(start, end))
        return True


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_count, value)) and value[0] < value[1]


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


def entry_from(fields: Any, path: Path, names: Any = None) -> CommitEntry | None:
    """What `asdict` made of a `CommitEntry`; None when it is invalid: another user of the folder may have written it.

    Args:
        names: the `files` of its receipt, if that does not have them.

    Raises: StorageError, when its receipt has another format than this luci knows.
    """
    if not (isinstance(fields, dict) and isinstance(receipt := fields.get("receipt"), dict)):
        return None
    if is_count(receipt.get("v")):
        check_version(receipt, path, RECEIPT_VERSION)
    try:
        entry = CommitEntry(**{**fields, "receipt": Receipt.from_json({"files": names, **receipt})})
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):
        return None
    valid = (
        is_count(entry.size)
        and is_count(entry.inode)
        and isinstance(entry.sha256, str)
        and isinstance(entry.source, str)
        and (entry.record is None or is_valid_name(entry.record))
    )
    return entry if valid else None


def is_valid_name(value: object) -> bool:
    """Whether it can be a target's name."""
    try:
        return isinstance(value, str) and bool(check_name(value))
    except UsageError:
        return False
