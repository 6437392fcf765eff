"""Real file systems of other kinds, each in an image file of its own; without root, loop devices or FUSE they skip."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.tools import need

MIB = 1 << 20


def folding_case(folder: Path) -> contextlib.AbstractContextManager[Path]:
    """An NTFS on which names that differ by case alone are one."""
    return _ntfs(folder, "ignore_case")


def windows_names(folder: Path) -> contextlib.AbstractContextManager[Path]:
    """An NTFS on which names must be such as Windows allows."""
    return _ntfs(folder, "windows_names")


def _ntfs(folder: Path, option: str) -> contextlib.AbstractContextManager[Path]:
    return _mounted(folder, 16 * MIB, ["mkntfs", "--force", "--quick", "--quiet"], ["lowntfs-3g", "-o", option])


@contextlib.contextmanager
def without_preallocation(folder: Path, size: int) -> Iterator[Path]:
    """An ext3: room cannot be claimed there. A few hundred KiB of its size are its own."""
    make = ["mkfs.ext3", "-q", "-F", "-m", "0", "-I", "128", "-N", "64", "-J", "size=1", "-b", "1024"]
    with _mounted(folder, size, make, ["mount", "-t", "ext3", "-o", "loop"]) as there:
        yield there


@contextlib.contextmanager
def another_disk(folder: Path, size: int = 64 * MIB) -> Iterator[Path]:
    """An ext4."""
    with _mounted(folder, size, ["mkfs.ext4", "-q", "-F"], ["mount", "-o", "loop"]) as there:
        yield there


@contextlib.contextmanager
def fat(folder: Path, size: int) -> Iterator[Path]:
    """A FAT32, by FUSE."""
    with _mounted(folder, size, ["mkfs.vfat", "-F", "32"], ["fusefat", "-o", "rw+"]) as there:
        yield there


@contextlib.contextmanager
def full_btrfs(folder: Path) -> Iterator[Path]:
    """A btrfs with so little room that it can be filled until it refuses to create a file."""
    with _mounted(folder, 140 * MIB, ["mkfs.btrfs", "-q", "-M"], ["mount", "-o", "loop"]) as there:
        yield there


@contextlib.contextmanager
def small_quota(folder: Path, size: int) -> Iterator[Path]:
    """A folder of which the files may have `size` bytes together, on a btrfs with more room."""
    with _mounted(folder, 300 * MIB, ["mkfs.btrfs", "-q"], ["mount", "-o", "loop"]) as there:
        mine = there / "mine"
        for words in (["quota", "enable", there], ["subvolume", "create", mine], ["qgroup", "limit", str(size), mine]):
            made = subprocess.run([need("btrfs"), *map(str, words)], capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"no quotas here: {made.stderr.strip()}")
        yield mine


@contextlib.contextmanager
def _mounted(folder: Path, size: int, make: Sequence[str], mount: Sequence[str]) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    make, mount = [need(make[0]), *make[1:]], [need(mount[0]), *mount[1:]]
    image = folder.with_name(f"{folder.name}.image")
    with image.open("wb") as file:
        file.truncate(size)
    folder.mkdir()
    subprocess.run([*make, str(image)], check=True, capture_output=True)
    made = subprocess.run([*mount, str(image), str(folder)], capture_output=True, text=True, timeout=20)
    if made.returncode != 0 or not os.path.ismount(folder):
        pytest.skip(f"it cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([need("umount"), "-l", str(folder)], check=True)


@contextlib.contextmanager
def bound(folder: Path, source: Path) -> Iterator[Path]:
    """A bind mount of `source`, a file or a folder, at an existing `folder`."""
    if os.geteuid() != 0 or subprocess.run([need("mount"), "--bind", str(source), str(folder)]).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run([need("umount"), "-l", str(folder)], check=True)
