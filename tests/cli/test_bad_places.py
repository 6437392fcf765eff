"""Folders that cannot take a model: exit code 6, the system's own reason, and nothing else changed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.shop import Shop, assert_nothing_left, assert_refused
from tests.procs import LUCI, ROOT, files_left, luci
from tests.tools import need


@pytest.fixture
def sold(shop: Shop) -> Shop:
    shop.sell("a")
    return shop


def test_a_models_folder_that_is_a_file(sold: Shop, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("mine")
    assert_refused(luci("install", "a", "--dir", place), 6, str(place), "A file stands where a folder should be")
    assert place.read_text() == "mine"
    assert not sold.server.exchanges()


def test_a_models_folder_that_is_a_dangling_symlink(sold: Shop, tmp_path: Path) -> None:
    place = tmp_path / "link"
    place.symlink_to(tmp_path / "nowhere")
    assert_refused(luci("install", "a", "--dir", place), 6, str(place), "Something else has that name")
    assert not (tmp_path / "nowhere").exists()


def test_a_models_folder_that_is_read_only(sold: Shop, models: Path) -> None:
    """By its mode; for root, who may write anyway, by its mount."""
    models.mkdir(parents=True)
    command = [*LUCI, "install", "a"]
    if os.geteuid() == 0:
        mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
        command = [need("unshare"), "--mount", "sh", "-c", mount, "sh", str(models), *command]
    models.chmod(0o555)
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True)
    if "mount:" in ended.stderr or "unshare:" in ended.stderr:
        pytest.skip("root may not mount here")
    assert_refused(ended, 6, str(models), "--dir")
    assert files_left(models) == []


@pytest.mark.parametrize("suffix", [".part", ".journal", ".lock", ".commit"])
@pytest.mark.parametrize("kind", ["symlink", "folder"])
def test_what_is_planted_in_the_staging_is_never_followed(
    kind: str, suffix: str, sold: Shop, models: Path, tmp_path: Path
) -> None:
    """A symlink to a file of the user, or a folder, is neither written to nor replaced nor removed."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    planted = models / ".luci" / f"a.gguf{suffix}"
    planted.parent.mkdir(parents=True)
    if kind == "symlink":
        planted.symlink_to(victim)
    else:
        planted.mkdir()
        (planted / "file").touch()
    assert_refused(luci("install", "a"), 6, str(planted))
    assert luci("clean").returncode == 0
    assert planted.is_symlink() if kind == "symlink" else (planted / "file").exists()
    assert victim.read_text() == "mine"
    assert not (models / "a.gguf").exists()


def test_a_staging_folder_that_leads_elsewhere(sold: Shop, models: Path, tmp_path: Path) -> None:
    models.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (models / ".luci").symlink_to(tmp_path / "elsewhere")
    assert_refused(luci("install", "a"), 6, "leads out of the models folder")
    assert files_left(tmp_path / "elsewhere") == []


def test_a_folder_in_the_place_of_the_file(sold: Shop, models: Path) -> None:
    (models / "a.gguf").mkdir(parents=True)
    assert_refused(luci("install", "a", "--force"), 6, "is not a file")
    assert (models / "a.gguf").is_dir()


def test_a_disk_without_room(sold: Shop, home: Path, models: Path) -> None:
    """The reserve counts as taken."""
    home.mkdir()
    (home / "config.json").write_text('{"min_free": "1000TB"}')
    assert_refused(luci("install", "a"), 6, "min_free")
    assert_nothing_left(models)


def test_a_bad_config_is_named(sold: Shop, home: Path) -> None:
    home.mkdir()
    (home / "config.json").write_text('{"min_free": "much"}')
    assert_refused(luci("install", "a"), 2, "config.json", "min_free", "much")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize(
    "words", [["list", "--available"], ["config", "list", "--json"], ["clean"], ["install", "a"], ["help", "install"]]
)
def test_an_output_that_is_full(sold: Shop, words: list[str]) -> None:
    """A reader would take half a list for the whole one, so the exit code reports it; what was done stays done."""
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([*LUCI, *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    prints = words[0] != "clean"  # there is nothing to clean, which is said on stderr
    assert (ended.returncode, "cannot write to stdout: its disk is full" in ended.stderr) == (
        6 if prints else 0,
        prints,
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("words", [["list"], ["status"], ["clean"], ["verify"]])
def test_a_missing_models_folder_is_reported(home: Path, words: list[str]) -> None:
    """It may be misspelt or not mounted; a script that runs before the first install still works."""
    ended = luci(*words, "--dir", "/nowhere/models")
    assert ended.returncode == 0
    assert "The folder /nowhere/models does not exist\n" in ended.stderr
    assert ended.stderr.count("does not exist") == 1


def test_pipes_and_devices_where_files_belong_keep_nobody_waiting(home: Path) -> None:
    """Nor does anything else that somebody may have put there."""
    staging = home / "models" / ".luci"
    staging.mkdir(parents=True)
    for suffix in ("lock", "part", "journal", "receipt", "commit"):
        os.mkfifo(staging / f"{suffix}.gguf.{suffix}")
        (staging / f"zero.gguf.{suffix}").symlink_to("/dev/zero")
        Path(os.fsdecode(os.fsencode(staging) + f"/\u00ff.gguf.{suffix}".encode("latin-1"))).write_bytes(b"x")
    for words in (["clean", "--dry-run"], ["clean"], ["status"], ["list"], ["verify"], ["doctor", "--offline"]):
        ended = luci(*words)
        assert ended.returncode in (0, 6), words
        assert "Traceback" not in ended.stderr
    os.mkfifo(home / "config.json")
    assert_refused(luci("list"), 2, "config.json is not a plain file")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *(("list", 6), ("list --available", 6), ("info mistral", 6), ("path mistral", 6), ("status", 6)),
        *(("verify", 6), ("remove mistral --yes", 6), ("clean", 6), ("doctor --offline", 6)),
        *(("install mistral --offline", 6), ("install mistral --offline --dry-run", 6)),
    ],
)
def test_a_folder_that_cannot_be_examined_is_reported(tmp_path: Path, words: str, code: int) -> None:
    """One sentence with the reason, as for a folder below one that nobody may enter."""
    ended = luci(*words.split(), env={"LUCI_MODELS_DIR": str(tmp_path / ("m" * 300))})
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
    assert "File name too long" in ended.stdout + ended.stderr


def test_a_model_that_was_moved_away_and_linked_back_while_its_disk_is_not_mounted(
    sold: Shop, models: Path, tmp_path: Path
) -> None:
    """Nobody says that it is missing, or that luci did not install it; nothing replaces the link."""
    assert luci("install", "a").returncode == 0
    (models / "a.gguf").rename(tmp_path / "a.gguf")
    (models / "a.gguf").symlink_to(tmp_path / "usb" / "a.gguf")
    asked = len(sold.server.exchanges())
    said = f"{models}/a.gguf is a symlink to {tmp_path}/usb/a.gguf, which cannot be reached"
    for words in (["install", "a"], ["install", "a", "--force"], ["install", "a", "--dry-run"], ["path", "a"]):
        assert_refused(luci(*words), 6, said, "Mount the disk")
    repaired = luci("verify", "--repair")
    assert (repaired.returncode, said in repaired.stderr) == (6, True), repaired.stderr
    assert (models / "a.gguf").is_symlink()
    assert len(sold.server.exchanges()) == asked
    (tmp_path / "usb").mkdir()
    (tmp_path / "a.gguf").rename(tmp_path / "usb" / "a.gguf")
    assert luci("path", "a").stdout == f"{models}/a.gguf\n"
