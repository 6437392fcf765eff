"""What servers of the torture do, and when luci must install the file in spite of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import IntEnum
from random import Random

from tests.servers import faults
from tests.servers.faults import Fault

KIB = 1 << 10


class Passes(IntEnum):
    """When luci must install the file in spite of it, given retries enough."""

    NEVER = 0
    WHEN_BEGUN = 1
    """With a digest, once the address has served bytes and the size is known; then luci is patient."""
    WITH_DIGEST = 2
    WITH_PATIENCE = 3
    """As long as it does not go wrong more than `PATIENCE` times in a row."""
    ALWAYS = 4


@dataclass(frozen=True)
class Behaviour:
    """Attributes:
    make: the fault, for a file of these bytes.
    lies: without a digest nobody could notice.
    """

    passes: Passes
    make: Callable[[Random, bytes], Fault]
    lies: bool = False


def fixed(passes: Passes, lies: bool = False, **made: Fault) -> dict[str, Behaviour]:
    """Behaviours without state, which are the same for every file."""
    return {
        name.replace("_", " "): Behaviour(passes, lambda _random, _data, fault=fault: fault, lies)  # type: ignore[misc]
        for name, fault in made.items()
    }


def made(passes: Passes, lies: bool = False, **made: Callable[[Random, bytes], Fault]) -> dict[str, Behaviour]:
    """Behaviours that are made anew for each file, since they depend on it or count requests."""
    return {name.replace("_", " "): Behaviour(passes, make, lies) for name, make in made.items()}


def soon(random: Random) -> Fault:
    code = random.choice([408, 425, 429, 500, 502, 503, 504, 509, 520, 529, 598])
    in_two = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    said = random.choice([None, None, 0, 3, in_two, "soon", "-5"])
    body = random.choice([b"", b"<html>busy</html>", b"x" * 300_000])
    more = random.choice([Fault(), faults.headers(RateLimit='"default";r=0;t=4'), faults.gzipped(), faults.chunked()])
    return faults.status(code, said, body) + more


def newer(data: bytes) -> bytes:
    """Another version of a file, as long and as valid."""
    return data[:-8] + bytes(byte ^ 0xFF for byte in data[-8:])


OFF, BEGUN, DIGEST, PATIENT, ALWAYS = Passes
