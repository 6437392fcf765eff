"""Killed at points of an upgrade: the old version or the new one, never a mix, and nothing of the other is left."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.library.installed import installed
from tests import crash_points
from tests.cli.shop import assert_nothing_left, sha256
from tests.crash_points import Ended
from tests.procs import files_left
from tests.servers import FaultyServer

pytestmark = pytest.mark.timeout(120)

STAYS, FIRST, SECOND, THIRD = (make_gguf(90_000, seed) for seed in range(4))
OLD = {"sub/a.gguf": FIRST, "stays.gguf": STAYS, "old/b.gguf": SECOND, "c.gguf": THIRD, "e.gguf": SECOND}
NEW = {"sub/a.gguf": SECOND, "stays.gguf": STAYS, "new/b.gguf": FIRST}
FILE = '[[model.file]]\nfilename = "{}"\nurl = "{}"\nsha256 = "{}"\nsize = {}\n'


class Upgrading:
    """An installed model, of which the catalog has another version now; another model shares c.gguf."""

    def __init__(self, folder: Path, server: FaultyServer) -> None:
        self.home, self.models = folder / "home", folder / "home" / "models"
        self._server, self._installed, self._catalog = server, folder / "installed", folder / "catalog.toml"
        self.home.mkdir()
        (self.home / "config.json").write_text('{"min_free": 0}')
        self._sell(OLD)
        assert self.luci("install", "m", "other").code == 0
        self._sell(NEW)
        self.home.rename(self._installed)

    def _sell(self, files: Mapping[str, bytes]) -> None:
        entries = []
        for model, these in (("m", files), ("other", {"c.gguf": THIRD, "d.gguf": FIRST})):
            entries.append(f'[[model]]\nname = "{model}"\n')
            for name, data in these.items():
                url = self._server.serve(f"/{sha256(data)}", data)
                entries.append(FILE.format(name, url, sha256(data), len(data)))
        self._catalog.write_text("".join(entries))

    def start(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self._installed, self.home)

    def luci(self, *args: str, point: int = -1) -> Ended:
        env = {"LUCI_CATALOG": str(self._catalog)}
        return crash_points.run(*args, home=self.home, env=env, point=point, signum=signal.SIGKILL)

    def assert_is(self, files: Mapping[str, bytes]) -> None:
        """These files, with receipts that say so, and nothing else but those of the other model."""
        everything = {**files, "c.gguf": THIRD, "d.gguf": FIRST}
        folders = {f"{name.rpartition('/')[0]}/" for name in everything if "/" in name}
        assert_nothing_left(self.models, *everything, *folders)
        for name, data in everything.items():
            assert (self.models / name).read_bytes() == data, name
        found = {model.reference: (model.state, set(model.names)) for model in installed([self.models])}
        assert found == {"m": ("ok", {*files}), "other": ("ok", {"c.gguf", "d.gguf"})}


@pytest.mark.parametrize("command", ["clean", "upgrade"])
def test_killed_anywhere_it_is_the_old_version_or_the_new_one(
    command: str, tmp_path: Path, server: FaultyServer
) -> None:
    """After `clean`; the next upgrade always leads to the new one."""
    upgrading = Upgrading(tmp_path, server)
    upgrading.start()
    upgrading.assert_is(OLD)
    points = upgrading.luci("upgrade", "m").points
    upgrading.assert_is(NEW)
    assert points > 20
    ended_as = set()
    for point in range(command == "clean", points, 2):
        upgrading.start()
        assert upgrading.luci("upgrade", "m", point=point).code in (-signal.SIGKILL, 0)
        ended = upgrading.luci(*(["clean"] if command == "clean" else ["upgrade", "m"]))
        assert ended.code == 0, ended.err
        is_new = (upgrading.models / "sub/a.gguf").read_bytes() == SECOND
        ended_as.add(is_new)
        try:
            upgrading.assert_is(NEW if is_new else OLD)
        except AssertionError as error:
            error.add_note(f"killed at point {point} of {points}: {files_left(upgrading.models)}")
            raise
    assert ended_as == ({False, True} if command == "clean" else {True})


def test_an_install_of_a_file_that_goes_completes_the_upgrade_first(tmp_path: Path, server: FaultyServer) -> None:
    """So that what is installed afterwards stays."""
    upgrading, seen = Upgrading(tmp_path, server), 0
    upgrading.start()
    points = upgrading.luci("upgrade", "m").points
    for point in range(points // 2, points, 5):
        upgrading.start()
        upgrading.luci("upgrade", "m", point=point)
        if not list((upgrading.models / ".luci").glob("**/*.commit")):
            continue
        seen += 1
        ended = upgrading.luci("install", server.serve("/other/e.gguf", STAYS), "-o", "e.gguf")
        assert ended.code == 0, ended.err
        assert (upgrading.models / "e.gguf").read_bytes() == STAYS
        assert upgrading.luci("clean").code == 0
        assert (upgrading.models / "e.gguf").read_bytes() == STAYS
    assert seen
