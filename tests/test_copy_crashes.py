"""Killed or signalled at points of a copy from another cache: the target is right or absent."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests import crash_points
from tests.cli.shop import assert_nothing_left, sha256
from tests.crash_points import Ended

DATA = make_gguf(150_000)
ENTRY = """
[[model]]
name = "m"
[[model.file]]
filename = "m.gguf"
url = "https://nowhere.invalid/m.gguf"
sha256 = "{}"
size = {}
"""


class Copying:
    """A catalog whose only file is in the cache of the Hub, and a home that is recreated for each run."""

    def __init__(self, folder: Path) -> None:
        self.home, self.models = folder / "home", folder / "home" / "models"
        blobs = folder / "hub" / "models--O--R" / "blobs"
        blobs.mkdir(parents=True)
        (blobs / sha256(DATA)).write_bytes(DATA)
        (folder / "catalog.toml").write_text(ENTRY.format(sha256(DATA), len(DATA)))
        self._env = {"LUCI_CATALOG": str(folder / "catalog.toml"), "HF_HUB_CACHE": str(folder / "hub")}

    def start(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        (self.home / "config.json").write_text('{"min_free": 0}')

    def luci(self, *args: str, point: int = -1, signum: int = 0) -> Ended:
        return crash_points.run(*args, home=self.home, env=self._env, point=point, signum=signum)

    def points(self) -> range:
        self.start()
        ended = self.luci("install", "m", "--offline")
        assert ended.code == 0, ended.err
        return range(0, ended.points, 3)  # the crash matrix takes them all

    @property
    def is_there(self) -> bool:
        target = self.models / "m.gguf"
        assert not target.exists() or target.read_bytes() == DATA
        return target.exists()


@pytest.fixture
def copying(tmp_path: Path) -> Copying:
    return Copying(tmp_path)


def test_killed_anywhere_the_next_install_completes_or_clean_removes(copying: Copying) -> None:
    """In turn, and without a network."""
    for turn, point in enumerate(copying.points()):
        copying.start()
        killed = copying.luci("install", "m", "--offline", point=point, signum=signal.SIGKILL)
        assert killed.code in (-signal.SIGKILL, 0)
        before = copying.is_there
        if turn % 2:
            assert copying.luci("install", "m", "--offline").code == 0
            assert copying.is_there
        else:
            assert copying.luci("clean").code == 0
            assert copying.is_there == before
        assert_nothing_left(copying.models, *(["m.gguf"] if copying.is_there else []))


def test_signalled_anywhere_nothing_is_left(copying: Copying) -> None:
    """Or the whole model, after the last rename."""
    for point in copying.points():
        copying.start()
        ended = copying.luci("install", "m", "--offline", point=point, signum=signal.SIGINT)
        assert ended.code in (-signal.SIGINT, 0), ended.err
        assert "Traceback" not in ended.err
        assert_nothing_left(copying.models, *(["m.gguf"] if copying.is_there else []))
