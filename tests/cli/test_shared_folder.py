"""A models folder of several users of one group, and a read-only one: with real users, so only root can run it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused
from tests.procs import LUCI, ROOT, Spawned, luci, wait_until
from tests.servers import FaultyServer
from tests.servers.faults import stall
from tests.tools import need

GROUP = 40_000
ANN, BOB = 40_001, 40_002
READS = "+dac_read_search"
AS = ["setpriv", "--regid", str(GROUP), "--clear-groups", "--inh-caps", READS, "--ambient-caps", READS, "--reuid"]
"""Become a user who may read everything, for Python may lie in somebody's home, but write only what is theirs."""


@dataclass(frozen=True)
class User:
    """Runs luci as somebody else, with a home of their own."""

    uid: int
    home: Path
    umask: str = "002"

    def luci(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        """Run luci to its end."""
        command = self.command
        done = subprocess.run(
            [*command, *map(str, args)], env=os.environ | self.env, capture_output=True, text=True, timeout=30
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def spawn(self, *args: str | Path) -> Spawned:
        return Spawned(*args, env=self.env, command=self.command)

    @property
    def command(self) -> Sequence[str]:
        return [*AS, str(self.uid), "sh", "-c", f'umask {self.umask}; exec "$@"', "sh", *LUCI]

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": str(self.home), "LUCI_HOME": str(self.home / ".luci"), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, unlike tmp_path."""
    if os.geteuid() != 0:
        pytest.skip("only root can become two users")
    need("setpriv")
    path = Path(tempfile.mkdtemp(prefix="luci-shared-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def models(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder, which belongs to the group."""
    folder = place / "models"
    folder.mkdir()
    os.chown(folder, ANN, GROUP)
    folder.chmod(0o2775)
    monkeypatch.setenv("LUCI_MODELS_DIR", str(folder))
    return folder


def user(place: Path, uid: int, umask: str = "002") -> User:
    home = place / f"home-{uid}"
    home.mkdir()
    os.chown(home, uid, GROUP)
    return User(uid, home, umask)


@pytest.fixture
def shop(server: FaultyServer, place: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A catalog that everybody may read."""
    monkeypatch.setenv("LUCI_CATALOG", str(place / "catalog.toml"))
    return Shop(server, place / "catalog.toml")


@pytest.fixture(params=["002", "077"])
def ann(request: pytest.FixtureRequest, place: Path) -> User:
    """With the umask that such a group agrees on, and with the usual one."""
    return user(place, ANN, request.param)


@pytest.fixture
def bob(place: Path) -> User:
    return user(place, BOB)


def test_members_use_verify_and_remove_each_others_models(shop: Shop, models: Path, ann: User, bob: User) -> None:
    """Everything that is created below the folder belongs to the group."""
    shop.sell("m", files=["owner/repo/m.gguf"])
    assert ann.luci("install", "m").returncode == 0
    for path in [path for path in models.rglob("*") if path.suffix != ".lock"]:
        info = path.stat()
        bits = 0o2070 if path.is_dir() else 0o060
        assert (info.st_gid, stat.S_IMODE(info.st_mode) & bits) == (GROUP, bits), path
    assert bob.luci("path", "m").stdout == f"{models}/owner/repo/m.gguf\n"
    assert bob.luci("verify", "m").returncode == 0
    assert "already installed" in bob.luci("install", "m").stderr
    removed = bob.luci("remove", "--yes", "m")
    assert removed.returncode == 0, removed.stderr
    assert_nothing_left(models)


def test_a_member_resumes_what_another_began(shop: Shop, models: Path, ann: User, bob: User) -> None:
    """From the last verified byte."""
    big = DATA * 50
    kill_in_the_middle(shop, models, ann, big)
    ended = bob.luci("install", "m")
    assert ended.returncode == 0, ended.stderr
    assert "Resuming at" in ended.stderr
    assert (models / "m.gguf").read_bytes() == big
    assert_nothing_left(models, "m.gguf")


def test_a_member_cleans_what_another_left(shop: Shop, models: Path, ann: User, bob: User) -> None:
    """The directory belongs to the group, so its members may delete its files."""
    kill_in_the_middle(shop, models, ann, DATA * 50)
    ended = bob.luci("clean")
    assert ended.returncode == 0, ended.stderr
    assert_nothing_left(models)


def kill_in_the_middle(shop: Shop, models: Path, who: User, data: bytes) -> None:
    """Leave a part of which the first third is in the journal, by Ctrl+C and --keep-partial."""
    shop.sell("m", data, [stall(len(data) // 3)])
    with who.spawn("install", "m", "--keep-partial", "-c", "1") as running:
        wait_for_bytes(running, models)
        running.signal(signal.SIGINT)
        running.wait()
    shop.sell("m", data)
    shop.server.release()


def wait_for_bytes(running: Spawned, models: Path) -> None:
    part = models / ".luci" / "m.gguf.part"
    wait_until(lambda: (part.exists() and part.read_bytes().strip(b"\0")) or running.process.poll() is not None, 20)
    assert running.process.poll() is None, running.err


def test_one_waits_for_the_other(shop: Shop, models: Path, ann: User, bob: User) -> None:
    """And uses the installed file."""
    shop.sell("m", faults=[stall(100_000)])
    with ann.spawn("install", "m") as first:
        first.wait_for("Downloading")
        with bob.spawn("install", "m") as second:
            second.wait_for("Waiting for pid")
            shop.server.release()
            assert first.wait() == 0, first.err
            assert second.wait() == 0, second.err
    assert len(shop.server.exchanges("/m.gguf")) == 1
    assert_nothing_left(models, "m.gguf")


@pytest.fixture
def read_only(models: Path, place: Path, shop: Shop) -> Path:
    """The folder after Ann installed a model there, and took the right to write from the others."""
    shop.sell("m")
    assert user(place, ANN).luci("install", "m").returncode == 0
    for path in [models, *models.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return models


def test_a_read_only_folder_can_be_used(read_only: Path, bob: User) -> None:
    """Its models can be listed, found and verified, and an install finds them installed."""
    path = f"{read_only}/m.gguf\n"
    assert bob.luci("path", "m").stdout == path
    assert "m.gguf" in bob.luci("list").stdout
    assert path in bob.luci("info", "m").stdout
    checked = bob.luci("verify")
    assert (checked.returncode, checked.stdout) == (0, f"ok         {path}")
    installed = bob.luci("install", "m")
    assert (installed.returncode, installed.stdout) == (0, path), installed.stderr
    assert "already installed" in installed.stderr


@pytest.mark.parametrize("words", [["install", "other"], ["install", "m", "--force"], ["remove", "--yes", "m"]])
def test_a_read_only_folder_refuses_changes(shop: Shop, read_only: Path, bob: User, words: Sequence[str]) -> None:
    """The message says why and what to do; nothing is fetched."""
    shop.sell("other", OTHER)
    if "--force" in words:
        shop.sell("m", OTHER)
    refused = bob.luci(*words)
    assert_refused(refused, 6, f"cannot write into {read_only}", "It belongs to user 40001: ask for write permission")
    assert not shop.server.exchanges("/other.gguf")
    assert (read_only / "m.gguf").read_bytes() == DATA


def test_clean_refuses_a_read_only_folder_if_there_is_something_to_clean(read_only: Path, bob: User) -> None:
    """Idle locks and receipts are no reason."""
    assert bob.luci("clean").returncode == 0
    (read_only / ".luci" / "x.gguf.part").write_bytes(b"left")
    ended = bob.luci("clean")
    assert ended.returncode == 6
    assert f"Left alone {read_only}: cannot write into {read_only}/.luci: Permission denied" in ended.stderr
    assert "would free" in bob.luci("clean", "--dry-run").stderr.lower()
    assert luci("clean").returncode == 0


def test_what_a_read_only_first_folder_lacks_goes_to_the_backup(shop: Shop, read_only: Path, bob: User) -> None:
    """So a group's folder and the user's own can be combined."""
    shop.sell("other", OTHER)
    own = bob.home / "models"
    assert bob.luci("config", "set", "backup_models_dir", own).returncode == 0
    assert bob.luci("config", "set", "min_free", "0").returncode == 0
    ended = bob.luci("install", "m", "other")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [f"{read_only}/m.gguf", f"{own}/other.gguf"]
    assert f"other goes to {own}" in ended.stderr


def test_a_file_that_only_its_owner_may_replace(shop: Shop, models: Path, ann: User, bob: User) -> None:
    """In a sticky folder: Bob reads why before he fetches anything, or it goes to his own folder."""
    models.chmod(0o3775)
    shop.sell("m")
    assert ann.luci("install", "m").returncode == 0
    (models / "m.gguf").write_bytes(OTHER)
    asked = len(shop.server.exchanges())
    for words in (["--dry-run"], []):
        refused = bob.luci("install", "m", *words)
        assert (refused.returncode, "belongs to user 40001" in refused.stderr) == (6, True), refused.stderr
        assert "Ask user 40001 to remove it" in refused.stderr
    assert len(shop.server.exchanges()) == asked
    assert_nothing_left(models, "m.gguf")
    own = bob.home / "models"
    assert bob.luci("config", "set", "backup_models_dir", own).returncode == 0
    assert bob.luci("config", "set", "min_free", "0").returncode == 0
    assert bob.luci("install", "m").stdout == f"{own}/m.gguf\n"
    assert (models / "m.gguf").read_bytes() == OTHER


@pytest.mark.parametrize("words", ["path m", "verify m", "install m"])
def test_what_was_found_in_a_folder_that_one_may_only_read_is_remembered(
    read_only: Path, bob: User, words: str
) -> None:
    """Only the times of the file have changed, as in a copy of the folder: it is read once, not refused for ever."""
    os.utime(read_only / "m.gguf", (1, 1))
    assert "touched" in bob.luci("list").stdout
    ended = bob.luci(*words.split())
    assert (ended.returncode, f"{read_only}/m.gguf" in ended.stdout) == (0, True), ended.stderr
    assert "touched" not in bob.luci("list").stdout
    assert len(list((bob.home / ".luci" / "receipts").iterdir())) == 1
    assert bob.luci("path", "m").stdout == f"{read_only}/m.gguf\n"


def test_damage_in_a_folder_that_one_may_only_read_is_refused(read_only: Path, bob: User) -> None:
    """And found again with every use."""
    (read_only / "m.gguf").write_bytes(DATA[:-1] + b"?")
    for _ in range(2):
        assert_refused(bob.luci("path", "m"), 5, f"{read_only}/m.gguf has changed since luci installed it")
