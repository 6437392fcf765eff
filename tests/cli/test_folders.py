"""Several models folders: a bad one does not silence the others, and each is what it is, not its name."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shop import DATA, Shop, assert_refused
from tests.config.files import write as config
from tests.procs import Spawned, files_left, lock_is_free, luci, wait_until
from tests.servers import faults


@pytest.fixture
def stocked(shop: Shop, home: Path) -> Shop:
    """A model that is installed in the default folder, and one that is nowhere."""
    shop.sell("one")
    shop.sell("two")
    assert luci("install", "one").returncode == 0
    return shop


def remembered(home: Path) -> list[str]:
    """The folders in config.json."""
    file = home / "config.json"
    return list(json.loads(file.read_text()).get("folders", [])) if file.exists() else []


def loop(where: Path) -> Path:
    """A folder that the system cannot read for anybody, like one on a dead disk."""
    where.symlink_to(where)
    return where / "models"


def a_file(where: Path) -> Path:
    """A file in place of a folder."""
    where.write_text("mine")
    return where


@pytest.mark.parametrize("make", [loop, a_file])
@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        ("list", 0, "one.gguf"),
        ("list --available", 0, "one"),
        ("path one", 0, "one.gguf"),
        ("path two", 6, ""),
        ("info one", 0, "one.gguf"),
        ("info nothing", 6, ""),
        ("status --json", 0, "[]"),
        ("verify", 6, "one.gguf"),
        ("verify two", 6, ""),
        ("remove one --dry-run", 0, "one.gguf"),
        ("remove two --dry-run", 6, ""),
        ("clean", 6, ""),
        ("clean nothing", 6, ""),
    ],
)
def test_a_bad_folder_does_not_silence_the_others(
    stocked: Shop, home: Path, tmp_path: Path, make: Callable[[Path], Path], words: str, code: int, output: str
) -> None:
    """It is named in a warning; in the error alone, if nothing is found: then the answer depends on it, exit 6."""
    bad = make(tmp_path / "bad")
    config(home, folders=[str(bad)])
    ended = luci(*words.split())
    assert ended.returncode == code, ended.stderr
    assert output in ended.stdout
    [first, *more] = [line for line in ended.stderr.splitlines() if str(bad) in line]
    is_found = output or words == "clean"
    assert first.startswith("⚠️" if is_found else "❌"), ended.stderr
    assert len(more) == (words == "verify")
    assert (home / "models" / "one.gguf").read_bytes() == DATA
    assert all(map(lock_is_free, (home / "models" / ".luci").glob("*.lock")))


def test_a_bad_folder_is_no_obstacle_to_an_install(stocked: Shop, home: Path, tmp_path: Path) -> None:
    """It is only one of the places where a copy may lie."""
    config(home, folders=[str(loop(tmp_path / "bad"))])
    ended = luci("install", "two")
    assert (ended.returncode, ended.stdout) == (0, f"{home}/models/two.gguf\n")
    assert luci("remove", "one", "--yes").returncode == 0


@pytest.mark.parametrize("kind", ["receipt", "lock", "journal"])
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_listed(stocked: Shop, home: Path, kind: str) -> None:
    """Here a folder stands in its place."""
    bad = home / "models" / ".luci" / f"bad.gguf.{kind}"
    bad.mkdir()
    warned = {"receipt": "list", "lock": "status", "journal": "info one"}[kind]
    for words in ("list", "path one", "info one", "status --json", "remove one --dry-run"):
        ended = luci(*words.split())
        assert (ended.returncode, bool(ended.stdout)) == (0, True), ended.stderr
        assert words != warned or ended.stderr.count(str(bad)) == 1
    assert luci("verify").stdout.startswith("ok")


def test_a_receipt_of_another_format_is_named(stocked: Shop, home: Path) -> None:
    """A later luci wrote it, so its model is not just left out."""
    assert luci("install", "two").returncode == 0
    newer = home / "models" / ".luci" / "two.gguf.receipt"
    newer.write_text(newer.read_text().replace('"v": 2', '"v": 99'))
    ended = luci("list")
    assert ("one.gguf" in ended.stdout, "two.gguf" in ended.stdout) == (True, False)
    assert ended.stderr.count(str(newer)) == 1
    assert_refused(luci("path", "two"), 6, f"two is not installed. Not everything could be looked into: {newer} has")
    assert newer.exists()


def test_an_install_that_fails_does_not_remember_its_folder(stocked: Shop, home: Path, tmp_path: Path) -> None:
    """Every later command would have to warn of it."""
    assert luci("install", "two", "--dir", str(loop(tmp_path / "bad"))).returncode == 6
    assert remembered(home) == []
    ended = luci("path", "one")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_folder_has_one_name_whatever_leads_there(shop: Shop, home: Path, tmp_path: Path) -> None:
    """Its models are listed once and can be removed, whether it was named by ".." or by a symlink."""
    shop.sell("one")
    models = tmp_path / "models"
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "models")
    assert luci("install", "one", "--dir", f"{models}/").returncode == 0
    for name in (tmp_path / "a/../models", tmp_path / "a/b/../../models/.", tmp_path / "link"):
        assert luci("install", "one", "--dir", str(name)).returncode == 0
    assert remembered(home) == [str(models)]
    config(home, folders=[str(models), str(tmp_path / "link"), str(tmp_path / "a/../models")])
    (one,) = json.loads(luci("list", "--json").stdout)
    assert one["folder"] == str(models)
    assert luci("verify").stdout.count("one.gguf") == 1
    assert luci("remove", "one", "--yes").returncode == 0
    assert luci("list", "--json").stdout == "[]\n"


def test_a_new_models_folder_does_not_hide_the_old_ones(stocked: Shop, home: Path, tmp_path: Path) -> None:
    """All are looked into, and what lies there is copied rather than fetched."""
    asked = len(stocked.server.exchanges("/one.gguf"))
    for number, folder in enumerate((tmp_path / "b", tmp_path / "c")):
        assert luci("config", "set", "models_dir", str(folder)).returncode == 0
        assert luci("install", ("two", "one")[number]).returncode == 0
    assert [model["folder"] for model in json.loads(luci("list", "--json").stdout)] == [
        str(tmp_path / "c"),
        str(tmp_path / "b"),
        str(home / "models"),
    ]
    assert remembered(home) == [str(tmp_path / "b"), str(tmp_path / "c")]
    assert len(stocked.server.exchanges("/one.gguf")) == asked


@pytest.mark.parametrize("mount_point", [False, True], ids=["gone", "empty"])
def test_a_models_folder_that_is_missing_is_said(stocked: Shop, home: Path, tmp_path: Path, mount_point: bool) -> None:
    """Its disk may not be mounted: every command says so, and an install does not fill the disk below."""
    usb = tmp_path / "usb"
    assert luci("config", "set", "models_dir", str(usb)).returncode == 0
    assert luci("install", "two").returncode == 0
    usb.rename(tmp_path / "elsewhere")
    if mount_point:
        usb.mkdir()
    said = f"the models folder {usb} " + ("has none of the files" if mount_point else "is missing")
    codes = {"list": 0, "status": 0, "info one": 0, "path one": 0, "verify": 6, "clean": 6, "path two": 6}
    for words, code in {**codes, "doctor --offline": 6}.items():
        ended = luci(*words.split())
        assert (ended.returncode, said in ended.stdout + ended.stderr) == (code, True), (words, ended.stderr)
    assert_refused(luci("install", "two"), 2, said)
    assert (usb.exists(), files_left(usb) if mount_point else []) == (mount_point, [])
    assert said in luci("install", "two", "--dry-run").stderr
    (tmp_path / "elsewhere").rename(usb)
    assert luci("path", "two").stdout == f"{usb}/two.gguf\n"


def test_a_models_folder_that_is_a_dangling_symlink_is_said(home: Path, tmp_path: Path) -> None:
    """It leads to a disk that is not mounted; nothing was ever installed by that name."""
    home.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "usb")
    config(home, models_dir=str(tmp_path / "link"))
    said = f"the models folder {tmp_path / 'link'} is a symlink to {tmp_path / 'usb'}, which is missing"
    for words in ("list", "status", "path one", "verify", "clean", "remove one --yes", "doctor --offline"):
        ended = luci(*words.split())
        assert (ended.returncode, said in ended.stdout + ended.stderr) == (6, True), (words, ended.stderr)
    assert_refused(luci("install", "https://h/one.gguf", "--offline"), 6, "dangling symlink")
    assert not (tmp_path / "usb").exists()


def test_a_missing_folder_can_be_made_anew_or_forgotten(stocked: Shop, home: Path, tmp_path: Path) -> None:
    """By --yes, and by unsetting it."""
    usb = tmp_path / "usb"
    for _ in range(2):
        assert luci("install", "two", "--yes", "--dir", str(usb)).returncode == 0
        shutil.rmtree(usb)
    assert luci("config", "unset", "folders", str(usb)).returncode == 0
    ended = luci("list")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_missing_backup_folder_is_not_made_anew(stocked: Shop, home: Path, tmp_path: Path) -> None:
    """The install goes on without it."""
    backup = tmp_path / "backup"
    assert luci("install", "two", "--dir", str(backup)).returncode == 0
    backup.rename(tmp_path / "elsewhere")
    assert luci("config", "set", "backup_models_dir", str(backup)).returncode == 0
    ended = luci("install", "two")
    assert ended.returncode == 0
    assert f"the models folder {backup} is missing, so nothing is installed there" in ended.stderr
    assert not backup.exists()


def test_clean_forgets_a_folder_when_nothing_is_left_in_it(stocked: Shop, home: Path, tmp_path: Path) -> None:
    """It is empty because of luci, not because its disk is gone."""
    other = tmp_path / "other"
    assert luci("install", "two", "--dir", str(other)).returncode == 0
    assert luci("remove", "two", "--yes").returncode == 0
    assert luci("clean").returncode == 0
    assert remembered(home) == []
    ended = luci("verify")
    assert (ended.returncode, str(other) in ended.stderr) == (0, False)


@pytest.mark.parametrize(("answer", "code"), [("n\r", 6), ("y\r", 0)])
def test_at_a_terminal_it_is_asked_whether_to_make_a_missing_folder_anew(
    stocked: Shop, home: Path, tmp_path: Path, answer: str, code: int
) -> None:
    """The question says what is missing."""
    usb = tmp_path / "usb"
    config(home, models_dir=str(usb), folders=[str(usb)])
    with Spawned("install", "two", terminal=True) as asking:
        asking.wait_for("[y/N]")
        assert "is missing" in asking.out
        asking.press(answer)
        assert asking.wait() == code
    assert usb.exists() == (code == 0)


def test_an_interrupted_install_does_not_remember_a_folder_that_it_removed(
    shop: Shop, home: Path, tmp_path: Path
) -> None:
    """Else it would be missing from then on."""
    shop.sell("slow", faults=[faults.stall(1000)])
    new = tmp_path / "new"
    with Spawned("install", "slow", "--dir", new) as run:
        wait_until(lambda: list(new.rglob("*.part")))
        assert remembered(home) == [str(new)]
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == -signal.SIGINT
    assert (remembered(home) == [str(new)]) == (new / ".luci").exists()
    assert luci("list").stderr.count(str(new)) == 0


def test_a_bad_folder_leaves_the_completion_of_names(stocked: Shop, home: Path, tmp_path: Path) -> None:
    """Of installed models elsewhere, and of the catalog."""
    config(home, folders=[str(loop(tmp_path / "bad"))])
    environ = {"_LUCI_COMPLETE": "bash_complete", "COMP_WORDS": "luci path o", "COMP_CWORD": "2"}
    assert luci(env=environ).stdout == "plain,one\n"
    config(home, models_dir=str(tmp_path / "bad"))
    shutil.rmtree(home / "models")
    assert "plain,one\n" in luci(env={**environ, "COMP_WORDS": "luci info o"}).stdout
