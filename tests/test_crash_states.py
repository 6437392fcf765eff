"""States of the disk are equal only if the next run cannot tell them apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from luci_dl.disk.journal import encode
from tests.crash_states import state_of


def leave(models: Path, pid: int = 1, at: str = "2026-01-01T00:00:00+00:00") -> Path:
    """Write a target and luci's files for it. Returns: the staging folder."""
    staging = models / ".luci"
    staging.mkdir(parents=True)
    (models / "m.gguf").write_bytes(b"GGUF")
    info = (models / "m.gguf").stat()
    (staging / "m.gguf.lock").write_text(f'{{"nonce": "{pid:x}", "pid": {pid}, "since": "{at}"}}')
    (staging / "m.gguf.receipt").write_text(f'{{"mtime_ns": {info.st_mtime_ns}, "installed": "{at}"}}')
    (staging / "m.gguf.journal").write_bytes(encode({"inode": info.st_ino}) + encode({"at": 4}))
    (staging / "m.gguf.part").write_bytes(b"GG")
    return staging


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def replace(path: Path) -> None:
    """Replace the file by one with the same bytes, mode and modification time."""
    info, new = path.stat(), path.with_suffix(".new")
    new.write_bytes(path.read_bytes())
    os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns))
    new.rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "another byte": lambda staging: flip(staging / "m.gguf.part"),
    "a torn line": lambda staging: os.truncate(staging / "m.gguf.journal", 30),
    "a wrong checksum": lambda staging: flip(staging / "m.gguf.journal"),
    "another file of that name": lambda staging: replace(staging.parent / "m.gguf"),
    "a touched file": lambda staging: os.utime(staging.parent / "m.gguf", (1, 1)),
    "a missing file": lambda staging: (staging / "m.gguf.receipt").unlink(),
    "another mode": lambda staging: (staging / "m.gguf.part").chmod(0o600),
    "another folder": lambda staging: (staging / "more").mkdir(),
}


def test_timestamps_and_processes_make_no_difference(tmp_path: Path) -> None:
    leave(tmp_path / "one")
    leave(tmp_path / "two", pid=234, at="2026-11-11T11:11:11+00:00")
    assert state_of(tmp_path / "one") == state_of(tmp_path / "two")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_anything_else_makes_a_difference(tmp_path: Path, change: Callable[[Path], object]) -> None:
    staging = leave(tmp_path)
    before = state_of(tmp_path)
    change(staging)
    assert state_of(tmp_path) != before
