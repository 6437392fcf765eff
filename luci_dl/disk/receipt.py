"""The receipt of an installed file: what it is, where it came from, how it was verified."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from luci_dl.disk import fs
from luci_dl.disk.blocks import KIND, Blocks
from luci_dl.disk.formats import check_version, is_count
from luci_dl.environment import home_of
from luci_dl.errors import StorageError, UsageError
from luci_dl.frozen import frozen
from luci_dl.names import check_digest, check_name
from luci_dl.text import distinct_address

VERSION = 2
"""Of receipts. Those of version 1 do not say what was `asked`."""
DISTRUSTED = -1
"""The `mtime_ns` of a receipt whose file was found to be damaged: the file is hashed before it is used again."""
REMEMBERED = "receipts"
"""The folder, in luci's own one, for newer versions of receipts that are in read-only folders."""
_TEXTS = (
    *("name", "reference", "role", "url", "sha256", "proof", "installed", "verified", "validator", "commit", "access"),
    KIND,
)


@frozen
class ModelFacts:
    """What the receipts of a model's files have in common: see `Receipt`, and `Model` for `asked` and `kept`.

    Attributes:
        earlier: receipts that files bring along from another models folder, by the names of the targets.
    """

    reference: str
    files: tuple[str, ...]
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kept: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    earlier: Mapping[str, Receipt] = field(default_factory=dict, hash=False, repr=False)

    def renewed(self, known: Receipt) -> Receipt:
        """The receipt of a file that stays: it learns what was asked, which files there are, and the small files."""
        if self.earlier:
            return known
        if known.asked is None or known.files != self.files:
            known = replace(known, v=VERSION, files=self.files, asked=self.asked)
        return replace(known, v=VERSION, kept=self.kept) if self.kept and known.name == self.files[0] else known


@frozen
class Receipt:
    """What luci knows of a file that it installed. Its addresses are made distinct, also those of older receipts.

    Attributes:
        name: the target's path below the models folder.
        reference: what the user asked for.
        files: names of all files of the model, this one among them, the one to load first.
        role: "model" or "projector".
        url: where the bytes came from (file://... for a copy); empty for an adopted file.
        sha256: of the file, 64 hex digits.
        proof: what it was checked against: "sha256", "lfs pointer", "git blob", "hub" (what the Hub said), or "none".
        size: bytes; mtime_ns: of the file when its bytes were last checked, or DISTRUSTED.
        installed, verified: when, ISO 8601 in UTC.
        xxh3: the text of the `blocks`; empty in receipts of older versions, or where they are not known.
        asked: the options that the model was selected with; None where that is unknown.
        validator: the strong ETag of the `url` then; empty if it had none.
        commit: of the Hub's repository, 40 hex digits; empty if unknown.
        kept: in the receipt of the model's first file, what `Model.kept` says.
        access: who may have the file: see `Artifact`.
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
    xxh3: str = ""
    asked: Mapping[str, Any] | None = field(default=None, hash=False)
    validator: str = ""
    commit: str = ""
    kept: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    access: str = "unknown"

    def __post_init__(self) -> None:
        for name in ("reference", "url"):
            if isinstance(text := getattr(self, name), str):
                object.__setattr__(self, name, distinct_address(text))

    @classmethod
    def from_json(cls, facts: Any) -> Receipt:
        """What `asdict` returned, perhaps by way of a file. Raises: TypeError, UsageError, when it is no receipt."""
        names = {each.name for each in fields(cls)}
        needed = {each.name for each in fields(cls) if (each.default, each.default_factory) == (MISSING, MISSING)}
        if not (isinstance(facts, dict) and facts.keys() >= needed | {"v"}):
            raise TypeError("not a receipt")
        known = cls(**{name: facts[name] for name in names & facts.keys()})
        if not (
            isinstance(known.files, list | tuple)
            and (known.asked is None or _is_question(known.asked))
            and isinstance(known.kept, dict)
            and all(map(_is_text, (*known.kept, *known.kept.values())))
            and all(_is_text(text) for text in (*known.files, *(getattr(known, name) for name in _TEXTS)))
            and (is_count(known.v) and 1 <= known.v <= VERSION and is_count(known.size))
            and (type(known.mtime_ns) is int and -1 << 63 <= known.mtime_ns < 1 << 63)
            and known.name in known.files
        ):
            raise TypeError("not a receipt")
        files = tuple(check_name(name) for name in known.files)
        return replace(known, files=files, sha256=check_digest(known.sha256, 64, "the SHA-256"))

    @property
    def blocks(self) -> Blocks:
        """The digests of the file's blocks, as far as they are known. Reading them takes a moment."""
        return Blocks.from_text(self.xxh3, self.size)


def now() -> str:
    """This moment, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(path: Path) -> Receipt | None:
    """The receipt at `path`, or the newer version that luci's own folder has; None when there is none or it is damaged.

    Raises: StorageError, when it cannot be read or has another format.
    """
    known = _read(path)
    if known is None:
        return None
    with contextlib.suppress(StorageError):  # luci's own folder need not be readable
        later = _read(_remembered(path))
        if later and later.verified >= known.verified:
            changed = {name: getattr(known, name) for name in ("mtime_ns", "verified", "proof", KIND)}
            before = replace(later, **changed)
            return later if before == known else known
    return known


def _read(path: Path) -> Receipt | None:
    try:
        facts = json.loads(fs.read_own(path) or b"")
        if isinstance(facts, dict):
            check_version(facts, path, VERSION)
        return Receipt.from_json(facts)
    except (ValueError, TypeError, RecursionError, UsageError):
        return None


def write(path: Path, receipt: Receipt, new: Path | None = None, *, sync: bool = True) -> fs.File:
    """Put the receipt at `path`, atomically and durably; `new`, `sync` and the result: as in `fs.write_file`."""
    return fs.write_file(path, json.dumps(vars(receipt)).encode() + b"\n", new=new, sync=sync)


def remember(path: Path, receipt: Receipt) -> None:
    """Keep the receipt in luci's own folder, since it cannot be written to `path`. Raises: StorageError."""
    remembered = _remembered(path)
    fs.make_folder(remembered.parent)
    write(remembered, receipt)


def _remembered(path: Path) -> Path:
    """Where luci's own folder keeps a newer version of the receipt at `path`."""
    key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    return home_of(os.environ) / REMEMBERED / f"{key}.receipt"


def _is_question(value: object) -> bool:
    """Whether it is what `FileSelection.asked` returned, or may be what that of another version did."""
    if not isinstance(value, dict) or not all(map(_is_text, value)):
        return False
    answers = [each for answer in value.values() for each in (answer if isinstance(answer, list) else [answer])]
    return all(isinstance(answer, bool) or _is_text(answer) for answer in answers)


def _is_text(value: object) -> bool:
    """Whether it is a string that can be printed: JSON may contain half a character."""
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value))
