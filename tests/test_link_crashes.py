"""Killed or interrupted at each change that `luci link` and `unlink` make: what is left can be finished or removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests import crash_points, ollama_rules
from tests.cli.shop import sha256
from tests.crash_points import Ended
from tests.procs import files_left

DATA = make_gguf(20_000)
ENTRY = """
[[model]]
name = "m"
[[model.file]]
filename = "m.gguf"
url = "https://nowhere.invalid/m.gguf"
sha256 = "{}"
size = {}
"""


class Linking:
    """An installed model, and Ollama's folder to link it to."""

    def __init__(self, folder: Path) -> None:
        self.home, self.ollama = folder / "home", folder / "ollama"
        (folder / "usb").mkdir()
        (folder / "usb/m.gguf").write_bytes(DATA)
        (folder / "catalog.toml").write_text(ENTRY.format(sha256(DATA), len(DATA)))
        self._folder = folder
        self._env = {"LUCI_CATALOG": str(folder / "catalog.toml"), "OLLAMA_MODELS": str(self.ollama)}
        self.home.mkdir()
        (self.home / "config.json").write_text('{"min_free": 0}')
        assert self.luci("install", "m", "--offline", "--from", str(folder / "usb")).code == 0
        shutil.copytree(self.home, folder / "before", copy_function=shutil.copy2)

    def luci(self, *args: str, point: int = -1, signum: int = 0) -> Ended:
        return crash_points.run(*args, home=self.home, env=self._env, point=point, signum=signum)

    def start(self, *, linked: bool = False) -> None:
        """Begin again, with a model that is installed."""
        shutil.rmtree(self.home)
        shutil.rmtree(self.ollama, ignore_errors=True)
        shutil.copytree(self._folder / "before", self.home, copy_function=shutil.copy2)
        self.ollama.mkdir()
        if linked:
            assert self.luci("link", "ollama", "m").code == 0

    def check(self) -> bool:
        """Whether all of it is linked; if not, nothing is. The model is there."""
        assert (self.home / "models/m.gguf").read_bytes() == DATA
        manifest = self.ollama / "manifests/registry.ollama.ai/library/m/latest"
        files = [path for path in self.ollama.rglob("*") if path.is_file()]
        if not manifest.exists():
            assert files == []
            assert [
                name for name in files_left(self.home) if name.startswith("links/") and name.endswith(".json")
            ] == []
            return False
        facts = json.loads(manifest.read_bytes())
        blobs = {
            self.ollama / "blobs" / each["digest"].replace(":", "-") for each in (*facts["layers"], facts["config"])
        }
        assert {*files} == {manifest, *blobs}
        return True


@pytest.fixture
def linking(tmp_path: Path) -> Linking:
    return Linking(tmp_path)


def test_a_link_that_is_killed_is_finished_by_clean(linking: Linking) -> None:
    """Nothing of it is left that `clean` does not know; the other program never sees half a model."""
    linking.start()
    points = linking.luci("link", "ollama", "m").points
    assert linking.check()
    outcomes = set()
    for point in range(points):
        linking.start()
        assert linking.luci("link", "ollama", "m", point=point, signum=signal.SIGKILL).code == -signal.SIGKILL
        ollama_rules.listed(linking.ollama)
        assert linking.luci("clean").code == 0
        outcomes.add(linking.check())
    assert outcomes == {True, False}


def test_a_link_that_is_killed_can_be_made_again(linking: Linking) -> None:
    """Without `clean`, and removed again."""
    linking.start()
    points = linking.luci("link", "ollama", "m").points
    for point in range(0, points, 3):
        linking.start()
        linking.luci("link", "ollama", "m", point=point, signum=signal.SIGKILL)
        again = linking.luci("link", "ollama", "m")
        assert (again.code, linking.check()) == (0, True), again.err
        assert linking.luci("unlink", "ollama", "m").code == 0
        assert not linking.check()


def test_an_unlink_that_is_killed_can_be_done_again(linking: Linking) -> None:
    """The manifest goes first, so that the other program never sees half a model."""
    linking.start(linked=True)
    points = linking.luci("unlink", "ollama", "m").points
    for point in range(points):
        linking.start(linked=True)
        linking.luci("unlink", "ollama", "m", point=point, signum=signal.SIGKILL)
        ollama_rules.listed(linking.ollama)
        assert linking.luci("clean").code == 0
        if linking.check():
            assert linking.luci("unlink", "ollama", "m").code == 0
            assert not linking.check()


def test_a_link_that_is_interrupted_leaves_nothing(linking: Linking) -> None:
    """Or all of it, if it was too late."""
    linking.start()
    points = linking.luci("link", "ollama", "m").points
    for point in range(points):
        linking.start()
        ended = linking.luci("link", "ollama", "m", point=point, signum=signal.SIGINT)
        assert ended.code == -signal.SIGINT
        linking.check()


def test_a_removal_that_is_killed_takes_the_links_along(linking: Linking) -> None:
    """At the next `clean`, at the latest."""
    linking.start(linked=True)
    points = linking.luci("remove", "m", "--yes").points
    for point in range(points):
        linking.start(linked=True)
        linking.luci("remove", "m", "--yes", point=point, signum=signal.SIGKILL)
        if os.path.exists(linking.home / "models/m.gguf"):
            continue
        linking.luci("remove", "m", "--yes")
        assert linking.luci("clean").code == 0
        assert [path for path in linking.ollama.rglob("*") if path.is_file()] == []
