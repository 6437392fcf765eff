"""The text of a lock file: who holds it and how far it is, for the terminals that wait."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields

VERSION = 1


@dataclass(frozen=True)
class LockInfo:
    """Who holds a lock, or held it last.

    Attributes:
        nonce: made anew for each transaction.
        name: the target's path below the models folder.
        key: what identifies the bytes that are fetched: a digest, or the address where none is known.
        since: when it began, ISO 8601 in UTC.
        command: as it would be typed, with the end of a long reference alone: there may be a password in it.
        model: that end.
        done, total: bytes; rate: bytes a second.
        outcome: how it ended: "installed", "suspended", "rolled back", or "wrong bytes"; empty while it runs.
        message: for "wrong bytes", what was wrong.
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
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> LockInfo | None:
        """None for an empty or torn text, or one of another version."""
        try:
            facts = json.loads(data.partition(b"\n")[0])
            if facts["v"] != VERSION:
                return None
            holder = cls(**{field.name: facts[field.name] for field in fields(cls)})
            return holder if _well_typed(holder) else None
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None


def _well_typed(holder: LockInfo) -> bool:
    """Another user of the folder may have written anything."""
    texts = (holder.nonce, holder.name, holder.host, holder.user, holder.since, holder.command, holder.model)
    numbers = (holder.pid, holder.done, 0 if holder.total is None else holder.total)
    return (
        all(isinstance(text, str) for text in (*texts, holder.key, holder.outcome, holder.message, holder.hint))
        and all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)
        and isinstance(holder.rate, int | float)
        and math.isfinite(holder.rate)
    )
