"""For the tests of interrupts: luci halted at a chosen place, and what must hold after a signal."""

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
"""Far longer than a signal may take, far shorter than any time limit of the code."""


HALT = "import os, time\ndef halt(*args, **more):\n    os.write(2, b'halted\\n')\n    time.sleep(600)\n"


def patched(code: str) -> Code:
    """Run `code` before luci; `halt()` in it prints "halted" on stderr and blocks."""
    return Code(HALT + code)


def interrupt(luci: Spawned, signals: Sequence[int]) -> float:
    """Send the signals and wait for the end. Returns: the seconds it took."""
    began = time.monotonic()
    for signum in signals:
        luci.signal(signum)
        time.sleep(0.005)
    luci.wait(10)
    return time.monotonic() - began


def wait_for_part(models: Path, name: str = "m.gguf") -> None:
    """Wait until luci has created the part; the server may have answered long before."""
    wait_until(lambda: (models / ".luci" / f"{name}.journal").exists())


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold the lock file, as another luci would."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def assert_nothing_left(models: Path, *targets: str) -> None:
    """Assert that only installed files, their receipts and unlocked lock files are left."""
    left = [name for name in files_left(models) if not name.endswith((".lock", "/"))] if models.exists() else []
    receipts = [f".luci/{name}.receipt" for name in targets]
    assert left == sorted([*targets, *receipts])
    assert all(lock_is_free(lock) for lock in models.rglob("*.lock"))
