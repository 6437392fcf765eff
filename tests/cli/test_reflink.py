"""On a file system that can share blocks, a copy takes no space and no time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.blocks import BLOCK
from tests.cli.shop import Shop, assert_nothing_left, sha256
from tests.interrupting import patched
from tests.library.test_verify import flip
from tests.procs import Spawned, luci
from tests.tools import need

DATA = make_gguf(20 << 20)
DISK = 32 << 20
"""Too small for two of them."""
HANG = "from luci_dl.install import copying\ncopying._wait_for_the_hash = lambda _, token, _emit: token.wait(600)"


@contextlib.contextmanager
def mounted(folder: Path, image: Path) -> Iterator[Path]:
    """A btrfs of its own; only root can do that, and only where there are loop devices."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    with image.open("wb") as file:
        file.truncate(DISK)
    folder.mkdir()
    subprocess.run([need("mkfs.btrfs"), "--quiet", "--mixed", str(image)], check=True, capture_output=True)
    made = subprocess.run([need("mount"), "-o", "loop", str(image), str(folder)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no loop device can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([need("umount"), "-l", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path, home: Path) -> Iterator[Path]:
    home.mkdir()
    (home / "config.json").write_text('{"min_free": 0}')
    with mounted(tmp_path / "disk", tmp_path / "image") as folder:
        yield folder


@pytest.fixture
def shop(shop: Shop) -> Shop:
    shop.sell("m", DATA)
    return shop


def put(disk: Path, data: bytes) -> Path:
    """A copy that is named by the right digest."""
    copy = disk / "usb" / sha256(DATA)
    copy.parent.mkdir()
    copy.write_bytes(data)
    os.sync()
    return copy


@pytest.mark.parametrize("word", ["m", f"https://nowhere.invalid/m.gguf#sha256={sha256(DATA)}"])
def test_the_blocks_are_shared(shop: Shop, disk: Path, word: str) -> None:
    """On a disk without space for a second file, whether the size is known or not; the whole file is hashed."""
    copy = put(disk, DATA)
    ended = luci("install", word, "--dir", disk / "models", "--from", disk / "usb", "--json")
    assert ended.returncode == 0, ended.stdout
    assert json.loads(ended.stdout.splitlines()[-1])["outcome"] == "copied"
    assert (disk / "models" / "m.gguf").read_bytes() == DATA == copy.read_bytes()
    assert_nothing_left(disk / "models", "m.gguf")
    copy.write_bytes(b"another")
    assert (disk / "models" / "m.gguf").read_bytes() == DATA


def test_a_repair_shares_what_is_right(shop: Shop, disk: Path) -> None:
    """So it needs no room for a second file, and costs the damaged block."""
    put(disk, DATA)
    assert luci("install", "m", "--dir", disk / "models", "--from", disk / "usb").returncode == 0
    (disk / "usb" / sha256(DATA)).unlink()
    flip(disk / "models" / "m.gguf", 7 * BLOCK)
    ended = luci("install", "m", "--dir", disk / "models")
    assert ended.returncode == 0, ended.stderr
    assert (disk / "models" / "m.gguf").read_bytes() == DATA
    assert shop.server.sent("/m.gguf") <= BLOCK
    assert_nothing_left(disk / "models", "m.gguf")


def test_wrong_bytes_are_shared_for_a_moment_only(shop: Shop, disk: Path) -> None:
    """Then space is claimed for the right ones, and here there is none."""
    put(disk, DATA[:-1] + bytes([DATA[-1] ^ 1]))
    ended = luci("install", "m", "--dir", disk / "models", "--from", disk / "usb")
    assert "has the wrong bytes, so it is not used" in ended.stderr
    assert "no room for m.gguf" in ended.stderr
    assert ended.returncode == 6
    assert_nothing_left(disk / "models")


@pytest.mark.parametrize("keep", [[], ["--keep-partial"]])
def test_an_interrupt_while_it_is_hashed_leaves_nothing(shop: Shop, disk: Path, keep: list[str]) -> None:
    """Not even with --keep-partial: the copy is still there."""
    put(disk, DATA)
    args = ["install", "m", "--dir", str(disk / "models"), "--from", str(disk / "usb"), *keep]
    with Spawned(*args, command=patched(HANG)) as hashing:
        hashing.wait_for("Found in")
        hashing.signal(signal.SIGINT)
        assert hashing.wait() == -signal.SIGINT
    assert_nothing_left(disk / "models")


def test_killed_while_it_is_hashed_the_next_install_starts_from_the_copy(shop: Shop, disk: Path) -> None:
    """The files of the killed process do not matter."""
    put(disk, DATA)
    args = ["install", "m", "--dir", str(disk / "models"), "--from", str(disk / "usb")]
    with Spawned(*args, command=patched(HANG)) as hashing:
        hashing.wait_for("Found in")
        hashing.signal(signal.SIGKILL)
    assert luci(*args, "--offline").returncode == 0
    assert_nothing_left(disk / "models", "m.gguf")
