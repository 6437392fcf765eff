"""Killed at points of a repair: the target is the damaged file or the right one, and the next repair completes."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.blocks import BLOCK
from tests import crash_points
from tests.cli.shop import assert_nothing_left, sha256
from tests.crash_points import Ended
from tests.servers import FaultyServer

pytestmark = pytest.mark.timeout(120)

DATA = make_gguf(3 * BLOCK + 5)
DAMAGED = DATA[:BLOCK] + bytes([DATA[BLOCK] ^ 1]) + DATA[BLOCK + 1 :]
ENTRY = '[[model]]\nname = "m"\n[[model.file]]\nfilename = "m.gguf"\nurl = "{}"\nsha256 = "{}"\nsize = {}\n'


class Repairing:
    """An installed file with a wrong byte."""

    def __init__(self, folder: Path, server: FaultyServer) -> None:
        self.home, self.target = folder / "home", folder / "home" / "models" / "m.gguf"
        self._server, self._installed = server, folder / "installed"
        url = server.serve("/m.gguf", DATA)
        (folder / "catalog.toml").write_text(ENTRY.format(url, sha256(DATA), len(DATA)))
        self._env = {"LUCI_CATALOG": str(folder / "catalog.toml")}
        self.home.mkdir()
        (self.home / "config.json").write_text('{"min_free": 0}')
        assert self.luci("install", "m").code == 0
        self._before = len(server.exchanges("/m.gguf"))
        self.target.write_bytes(DAMAGED)
        self.home.rename(self._installed)

    def start(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self._installed, self.home)

    def luci(self, *args: str, point: int = -1) -> Ended:
        return crash_points.run(*args, home=self.home, env=self._env, point=point, signum=signal.SIGKILL)

    def requested(self) -> list[tuple[int, int]]:
        """The first and the last byte of each request since the install; the whole file is (0, -1)."""
        spans = [exchange.headers.get("range", "bytes=0--1") for exchange in self._server.exchanges("/m.gguf")]
        pairs = [span.removeprefix("bytes=").split("-", 1) for span in spans[self._before :]]
        return [(int(first), int(last)) for first, last in pairs]


def test_killed_anywhere_the_next_repair_completes(tmp_path: Path, server: FaultyServer) -> None:
    """Or `clean` removes what it left. Each fetches the damaged block alone."""
    repairing = Repairing(tmp_path, server)
    repairing.start()
    points = repairing.luci("install", "m").points
    assert points > 20
    for turn, point in enumerate(range(0, points, 3)):
        repairing.start()
        repairing.luci("install", "m", point=point)
        assert repairing.target.read_bytes() in (DATA, DAMAGED)
        if turn % 2:
            assert repairing.luci("clean").code == 0
            assert repairing.target.read_bytes() in (DATA, DAMAGED)
        else:
            ended = repairing.luci("install", "m")
            assert ended.code == 0, ended.err
            assert repairing.target.read_bytes() == DATA
        assert_nothing_left(repairing.target.parent, "m.gguf")
    assert all(BLOCK <= first <= last < 2 * BLOCK for first, last in repairing.requested())
