"""The receipt of an installed file: what it is, where it came from, how it was proved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.disk.formats import check_version
from luci_dl.errors import UsageError
from luci_dl.names import check_name

VERSION = 1
DISTRUSTED = -1
"""The `mtime_ns` of a receipt whose file was found to be wrong: it is hashed before anybody trusts it again."""


@dataclass(frozen=True)
class Receipt:
    """What luci knows of a file that it installed.

    Attributes:
        name: the target's path below the models folder.
        reference: what the user asked for.
        files: names of all files of the model, this one among them, the one to load first.
        role: "model" or "projector".
        url: where the bytes came from, without credentials (file://... for a copy); empty for a file that was there.
        sha256: of the file, 64 hex digits.
        proof: what it was held against: "sha256", "lfs pointer", "git blob", "hub" (the Hub's own word), or "none".
        size: bytes; mtime_ns: of the file when it was last known to be right.
        installed, verified: when, ISO 8601 in UTC.
    """

    name: str
    reference: str
    files: tuple[str, ...]
    role: str
    url: str
    sha256: str
    proof: str
    size: int
    mtime_ns: int
    installed: str
    verified: str
    v: int = VERSION

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Receipt:
        """Raises: KeyError, TypeError, UsageError, when it is not a receipt."""
        known = cls(**{field.name: facts[field.name] for field in fields(cls)})
        known = replace(known, files=tuple(check_name(name) for name in known.files), name=check_name(known.name))
        texts = (known.reference, known.role, known.url, known.sha256, known.proof, known.installed, known.verified)
        numbers = (known.size, known.mtime_ns)
        if not (all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers)):
            raise TypeError("not a receipt")
        if known.name not in known.files:
            raise ValueError("a receipt of another file")
        return known


def now() -> str:
    """This moment, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(path: Path) -> Receipt | None:
    """The receipt at `path`; None when there is none or it makes no sense.

    Raises: StorageError, when it cannot be read or has another format.
    """
    if not fs.is_own(path):
        return None
    with fs.storage_errors("read", path):
        raw = path.read_bytes()
    try:
        facts = json.loads(raw)
        check_version(facts, path)
        return Receipt.from_json(facts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError):
        return None


def write(path: Path, receipt: Receipt, new: Path | None = None) -> None:
    """Put the receipt at `path`, at one stroke and durably; `new`: as `fs.write_file` has it."""
    fs.write_file(path, json.dumps(receipt.to_json(), indent=1).encode() + b"\n", new=new)
