"""Disks that are full to the last byte or file: what is to free them needs no room."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.layout import staging_for
from tests.cli.shop import Shop, assert_nothing_left
from tests.disk.hands import kill_after, small_disk
from tests.mounts import full_btrfs, small_quota, without_preallocation
from tests.procs import luci

MIB = 1 << 20
DATA = make_gguf(MIB)
DISKS: dict[str, Callable[[Path], AbstractContextManager[Path]]] = {
    "bytes": lambda folder: small_disk(folder, 8 * MIB),
    "inodes": lambda folder: small_disk(folder, 64 * MIB, 32),
    "ext3": lambda folder: without_preallocation(folder, 12 * MIB),
    "btrfs": full_btrfs,
    "quota": lambda folder: small_quota(folder, 16 * MIB),
}


@pytest.fixture(params=DISKS)
def disk(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"min_free": 0}))
    with DISKS[request.param](tmp_path / "disk") as there:
        monkeypatch.setenv("LUCI_MODELS_DIR", str(there / "models"))
        yield there


def fill(disk: Path) -> None:
    """Until not even an empty file can be made, or at least no byte be written."""
    for size in (MIB, 1024, 0):
        with contextlib.suppress(OSError), (disk / f"filler-{size}").open("wb", 0) as file:
            while size:
                file.write(bytes(size))
    number = 0
    try:
        while number < 5000:
            (disk / f"empty-{number}").touch()
            number += 1
    except OSError as error:
        assert error.errno in (errno.ENOSPC, errno.EDQUOT)  # noqa: PT017 - reaching the limit is the purpose


def test_a_model_is_removed_from_a_full_disk(shop: Shop, disk: Path) -> None:
    """Also without a lock file to take; the others stay installed, and there is room afterwards."""
    for name in ("one", "two"):
        shop.sell(name, DATA)
        assert luci("install", name).returncode == 0
    assert luci("clean").returncode == 0
    fill(disk)
    assert luci("install", "two").stdout == f"{disk}/models/two.gguf\n"  # there is nothing to do
    ended = luci("remove", "--yes", "one")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    assert_nothing_left(disk / "models", "two.gguf")
    assert not staging_for(disk / "models", "one.gguf").receipt.exists()
    assert "two" in luci("list").stdout
    assert luci("remove", "--yes", "two").returncode == 0


def test_what_a_crash_left_is_cleaned_from_a_full_disk(shop: Shop, disk: Path) -> None:
    """All of it, with no lock file and no folder left."""
    kill_after(disk / "models", DATA, MIB // 2, "left.gguf")
    kill_after(disk / "models", DATA, MIB // 2, "sub/left.gguf")
    fill(disk)
    ended = luci("clean")
    assert ended.returncode == 0, ended.stderr
    assert os.listdir(disk / "models") == []
