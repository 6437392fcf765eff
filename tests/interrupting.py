"""For the tests of interrupts: a luci at a standstill somewhere, and what must be true after a signal."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from luci_dl.cli.demo_gguf import make_gguf
from tests.procs import Code, Spawned, files_left, lock_is_free, wait_until

DATA = make_gguf(1_000_000)
HALF = len(DATA) // 2
STOPPED = "⚠️  Download interrupted by user\n"
DELETED = "🗑️  Deleted partial download: {}\n   Run the install command again to restart\n"
SOON_S = 2.0
"""Much more than a signal may take, and much less than any time limit of the code."""


HALT = "import os, time\ndef halt(*args, **more):\n    os.write(2, b'halted\\n')\n    time.sleep(600)\n"


def patched(code: str) -> Code:
    """`code` to run before luci; `halt()` in it says so on stderr and never returns."""
    return Code(HALT + code)


def interrupt(luci: Spawned, signals: Sequence[int]) -> float:
    """Send the signals and wait for the end. Returns: the seconds that it took."""
    began = time.monotonic()
    for signum in signals:
        luci.signal(signum)
        time.sleep(0.005)
    luci.wait(10)
    return time.monotonic() - began


def wait_for_part(models: Path, name: str = "m.gguf") -> None:
    """Wait until luci has begun the part, not only the server its answer."""
    wait_until(lambda: (models / ".luci" / f"{name}.journal").exists())


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold the lock file, as another luci would."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def assert_nothing_left(models: Path, *targets: str) -> None:
    """No part, no journal, no record: at most idle lock files that nobody holds, and what is installed."""
    left = [name for name in files_left(models) if not name.endswith((".lock", "/"))] if models.exists() else []
    receipts = [f".luci/{name}.receipt" for name in targets]
    assert left == sorted([*targets, *receipts])
    assert all(lock_is_free(lock) for lock in models.rglob("*.lock"))
