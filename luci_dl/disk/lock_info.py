"""The text of a lock file: who holds the lock, and the progress, for the processes that wait."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from luci_dl.disk.formats import VERSION, is_count
from luci_dl.frozen import frozen


@frozen
class LockInfo:
    """Who holds a lock, or held it last.

    Attributes:
        nonce: a random text, another one for each transaction.
        name: the target's path below the models folder.
        since: when the transaction started, ISO 8601 in UTC.
        command: as it would be typed, but only with `model`: the rest of a reference may contain a password.
        model: the last part of the reference.
        key: what identifies the expected bytes: a digest, or the distinct address where no digest is known.
        done, total: bytes; rate: bytes a second.
        outcome: how it ended: "installed", "suspended", "rolled back", or "wrong bytes"; empty while it runs.
        message, hint: for "wrong bytes", what was wrong and what to do.
    """

    nonce: str
    name: str
    pid: int
    host: str
    user: str
    since: str
    command: str
    model: str
    key: str
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    outcome: str = ""
    message: str = ""
    hint: str = ""
    v: int = VERSION

    def to_bytes(self) -> bytes:
        return json.dumps(vars(self)).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> LockInfo | None:
        """What the first line says; None for one that is empty, torn, invalid or of another version."""
        try:
            facts = json.loads(data.partition(b"\n")[0])
            info = cls(**{field.name: _printable_in_utf8(facts[field.name]) for field in fields(cls)})
            return info if _is_well_typed(info) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


def progress_of(files: Sequence[LockInfo]) -> tuple[int, int | None, float]:
    """How far the files of one transaction are: bytes done, bytes in all (None if unknown), and bytes a second."""
    totals = [file.total for file in files if file.total is not None]
    rate = sum(file.rate for file in files if file.done != file.total)
    return sum(file.done for file in files), sum(totals) if len(totals) == len(files) else None, rate


def _printable_in_utf8(value: Any) -> Any:
    """The value; of a text every half of a character, which JSON may contain, is replaced by "?"."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _is_well_typed(info: LockInfo) -> bool:
    """Other users of the folder may have written anything."""
    texts = (info.nonce, info.name, info.host, info.user, info.since, info.command, info.model, info.key)
    counts = (info.v, info.pid, info.done, 0 if info.total is None else info.total)
    return (
        all(isinstance(text, str) for text in (*texts, info.outcome, info.message, info.hint))
        and (all(map(is_count, counts)) and info.v == VERSION)
        and type(info.rate) in (int, float)
        and 0 <= info.rate < 1 << 62
    )
