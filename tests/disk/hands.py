"""What the network code does with the disk code, step by step."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xxhash

from luci_dl.cancel import CancelToken
from luci_dl.disk import backlog, buffers, fs, space
from luci_dl.disk.guarded_file import Gate, GuardedFile
from luci_dl.disk.layout import staging_for
from luci_dl.disk.part import Part
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import LuciError
from luci_dl.model import Artifact
from luci_dl.plan import Lease, Options, Remote
from tests.procs import lock_is_free
from tests.tools import need

NAME = "model.gguf"
KIB = 1 << 10
OPTIONS = Options(min_free=0)


def gguf(size: int, seed: int = 0) -> bytes:
    """Bytes that begin like a GGUF file."""
    return (b"GGUF" + random.Random(seed).randbytes(size))[:size]


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def xxh3_of(block: bytes) -> int:
    """What luci keeps of a block."""
    return xxhash.xxh3_64_intdigest(block) & 0xFFFF_FFFF


def url_of(name: str = NAME) -> str:
    return f"https://example.com/{name}"


def artifact_of(data: bytes, name: str = NAME) -> Artifact:
    """An artifact of which everything is known."""
    return Artifact(name, (url_of(name),), len(data), digest_of(data))


def unproved(name: str = NAME, size: int | None = None) -> Artifact:
    """An artifact without a digest."""
    return Artifact(name, (url_of(name),), size)


def remote_of(data: bytes, validator: str | None = '"one"', name: str = NAME) -> Remote:
    """The response of a server that has `data`."""
    return Remote(url_of(name), len(data), validator)


def pour(part: Part, data: bytes, upto: int | None = None, remote: Remote | None = None, block: int = 16 * KIB) -> None:
    """Fetch what is missing of `data`, up to the offset `upto`."""
    end = len(data) if upto is None else upto
    while (lease := part.claim()) is not None:
        part.begin(lease, remote or remote_of(data, name=part.artifact.name), lease.pos)
        while not lease.revoked and lease.pos < (end if lease.end is None else min(end, lease.end)):
            part.write(lease, data[lease.pos : min(lease.pos + block, end)])
        part.revoke(lease)
        if end < len(data):
            return


def claimed(part: Part, at_most: int | None = None) -> Lease:
    """A lease on a free range."""
    lease = part.claim(at_most)
    assert lease
    return lease


def verified(part: Part) -> str:
    """The digest of the whole file."""
    return part.verify(CancelToken())


def suspended(part: Part, seconds: float = 20) -> int:
    """Keep it. Returns: the bytes kept."""
    return part.suspend(time.monotonic() + seconds)


def guarded(file: fs.File) -> GuardedFile:
    """The file, with a gate of its own."""
    return GuardedFile(file, Gate())


def opened(part: Part, resume: bool = True) -> int:
    """Open it as a transaction does. Returns: the first byte that is missing."""
    part.staging.part.parent.mkdir(parents=True, exist_ok=True)
    return part.open(resume, CancelToken(), lambda _done: None)


def part_at(folder: Path, artifact: Artifact, min_free: int = 0) -> Part:
    return Part(staging_for(folder, artifact.name), artifact, min_free)


def install(folder: Path, *files: tuple[bytes, str], options: Options = OPTIONS) -> None:
    """Install the files as one model, by the steps of the engine."""
    artifacts = [artifact_of(data, name) for data, name in files]
    with Transaction(folder, artifacts, options=options) as transaction:
        for artifact, (data, _) in zip(artifacts, files, strict=True):
            transaction.look(artifact)
            pour(transaction.open(artifact), data)
        transaction.commit()


def kill_after(folder: Path, data: bytes, upto: int, name: str = NAME, artifact: Artifact | None = None) -> None:
    """Leave the files of a process that was killed at `upto`, with all bytes synced and in the journal."""
    part = part_at(folder, artifact or artifact_of(data, name))
    opened(part)
    pour(part, data, upto)
    assert suspended(part) == upto


def staged(folder: Path) -> list[str]:
    """The files in the staging folder, without lock files."""
    return sorted(
        path.relative_to(folder / ".luci").as_posix()
        for path in (folder / ".luci").rglob("*")
        if path.suffix != ".lock" and not path.is_dir()
    )


def is_free(folder: Path, name: str = NAME) -> bool:
    """Whether no process holds the lock of that target."""
    return lock_is_free(staging_for(folder, name).lock)


@contextlib.contextmanager
def held(folder: Path, name: str = NAME) -> Iterator[None]:
    """Another holder has the lock of that target, without a text in its file."""
    path = staging_for(folder, name).lock
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def assert_ends(folder: Path, error: type[LuciError], act: Callable[[], object], left: list[str]) -> LuciError:
    """`act` fails with that error, leaves these files in the staging, and the lock free."""
    with pytest.raises(error) as caught:
        act()
    assert staged(folder) == left
    assert is_free(folder)
    return caught.value


def sync_every(monkeypatch: pytest.MonkeyPatch, size: int, ahead: int = 64 << 20) -> None:
    """A line in the journal for each `size` bytes, which are collected into blocks of 4 KiB."""
    monkeypatch.setattr(backlog, "SYNC_EVERY", size)
    monkeypatch.setattr(backlog, "AHEAD", ahead)
    monkeypatch.setattr(buffers, "LARGE", 4 * KIB)


def free_on(folder: Path) -> int:
    """Bytes that can still be written there, by a file system that says so."""
    free = space.free_bytes(folder)
    assert free is not None
    return free


@contextlib.contextmanager
def small_disk(folder: Path, size: int, inodes: int = 0, kind: str = "tmpfs") -> Iterator[Path]:
    """A file system of `size` bytes, mounted at the folder; only root can do that.

    Args:
        inodes: how many files and folders it holds, itself among them; 0 for any number.
        kind: "ramfs" does not say how much is free, and has no limits.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder.mkdir()
    limits = f"size={size},nr_inodes={inodes}" if kind == "tmpfs" else "mode=0755"
    mount = [need("mount"), "-t", kind, "-o", limits, kind, str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run([need("umount"), "-l", str(folder)], check=True)


@contextlib.contextmanager
def attribute(letter: str, path: Path) -> Iterator[None]:
    """With an attribute of chattr; where the file system has none, the test is skipped."""
    if subprocess.run([need("chattr"), f"+{letter}", str(path)], capture_output=True).returncode:
        pytest.skip("only root can do that, and not on every file system")
    try:
        yield
    finally:
        subprocess.run([need("chattr"), f"-{letter}", str(path)], check=True)
