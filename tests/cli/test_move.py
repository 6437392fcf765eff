"""`luci move`, `export` and `import`: there is always one whole copy, and digests decide, not names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from tests import crash_points
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused, sha256
from tests.mounts import another_disk, fat, windows_names
from tests.procs import files_left, luci
from tests.servers import FaultyServer

SMALL = make_gguf(20_000)


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """A model of one file and one of two, both installed."""
    shop.sell("one", aliases=["uno"])
    shop.sell("set", OTHER, files=["set/set-1.gguf", "set/set-proj.gguf"])
    assert luci("install", "one", "set").returncode == 0
    assert luci("config", "set", "min_free", "0").returncode == 0
    return shop


def there(models: Path) -> dict[str, bytes]:
    """The files in a models folder that are not luci's own."""
    names = files_left(models) if models.exists() else []
    return {
        name: (models / name).read_bytes() for name in names if not name.startswith(".luci/") and not name.endswith("/")
    }


SET = {"set/set-1.gguf": OTHER, "set/set-proj.gguf": OTHER}


# --- move


def test_a_move_on_one_disk_copies_nothing(stocked: Shop, models: Path, tmp_path: Path) -> None:
    """Only names change; the receipts come along, and the folder is remembered."""
    inode = (models / "one.gguf").stat().st_ino
    before = json.loads((models / ".luci/one.gguf.receipt").read_text())
    ended = luci("move", "uno", "set", "--to", f"{tmp_path}/other")
    assert ended.returncode == 0, ended.stderr
    other = tmp_path / "other"
    assert (there(models), there(other)) == ({}, {"one.gguf": DATA, **SET})
    assert (other / "one.gguf").stat().st_ino == inode
    assert json.loads((other / ".luci/one.gguf.receipt").read_text()) == before
    assert luci("path", "one").stdout == f"{other}/one.gguf\n"
    assert luci("verify").returncode == 0
    assert "is already in " in luci("move", "one", "--to", f"{tmp_path}/other").stdout
    assert_nothing_left(other, "one.gguf", "set/", "set/set-1.gguf", "set/set-proj.gguf")


def test_a_move_to_another_disk_copies_and_verifies(stocked: Shop, models: Path, tmp_path: Path) -> None:
    """And the receipt still says where the bytes came from."""
    url = json.loads((models / ".luci/one.gguf.receipt").read_text())["url"]
    with another_disk(tmp_path / "disk") as disk:
        ended = luci("move", "one", "set", "--to", f"{disk}/models")
        assert ended.returncode == 0, ended.stderr
        assert (there(models), there(disk / "models")) == ({}, {"one.gguf": DATA, **SET})
        assert json.loads((disk / "models/.luci/one.gguf.receipt").read_text())["url"] == url
        assert luci("verify").returncode == 0
        assert luci("move", "one", "set", "--to", str(models)).returncode == 0
    assert there(models) == {"one.gguf": DATA, **SET}


def test_a_file_that_has_changed_is_not_moved_to_another_disk(stocked: Shop, models: Path, tmp_path: Path) -> None:
    """What is there stays as it is, and nothing is left in the other folder."""
    (models / "one.gguf").write_bytes(OTHER)
    os.utime(models / "one.gguf", ns=(0, json.loads((models / ".luci/one.gguf.receipt").read_text())["mtime_ns"]))
    with another_disk(tmp_path / "disk") as disk:
        ended = luci("move", "one", "--to", f"{disk}/models")
        assert ended.returncode == 5, ended.stderr
        assert there(disk / "models") == {}
        assert_nothing_left(disk / "models")
    assert there(models) == {"one.gguf": OTHER, **SET}


def test_what_stands_in_the_other_folder_stays(stocked: Shop, models: Path, tmp_path: Path) -> None:
    taken = tmp_path / "other/one.gguf"
    taken.parent.mkdir()
    taken.write_bytes(b"mine")
    assert luci("move", "one", "--to", str(taken.parent)).returncode == 5
    assert (there(models), there(taken.parent)) == ({"one.gguf": DATA, **SET}, {"one.gguf": b"mine"})


def test_a_file_of_two_models_is_copied(shop: Shop, models: Path, tmp_path: Path) -> None:
    """The other model keeps it."""
    shop.sell("a", files=["a.gguf", "both-proj.gguf"])
    shop.sell("b", files=["b.gguf", "both-proj.gguf"])
    assert luci("install", "a").returncode == 0
    assert luci("install", "b").returncode == 0
    stays = f"Left alone {models}/both-proj.gguf: b also needs it"
    for dry in (["--dry-run"], []):
        ended = luci("move", "a", "--to", f"{tmp_path}/other", *dry)
        assert (ended.returncode, stays in ended.stderr) == (0, True), ended.stderr
    assert set(there(tmp_path / "other")) == {"a.gguf", "both-proj.gguf"}
    assert set(there(models)) == {"b.gguf", "both-proj.gguf"}


def test_links_follow_a_move(stocked: Shop, tmp_path: Path) -> None:
    assert luci("link", f"{tmp_path}/linked/", "one", "--how", "symlink").returncode == 0
    assert luci("move", "one", "--to", f"{tmp_path}/other").returncode == 0
    assert os.readlink(tmp_path / "linked/one.gguf") == f"{tmp_path}/other/one.gguf"
    assert luci("link", "--list", "--json").stdout.count('"problems": []') == 1


def test_a_dry_run_moves_nothing(stocked: Shop, models: Path, tmp_path: Path, home: Path) -> None:
    before = files_left(home)
    ended = luci("move", "one", "--to", f"{tmp_path}/other", "--dry-run")
    assert (ended.returncode, "one.gguf" in ended.stdout) == (0, True)
    assert (files_left(home), (tmp_path / "other").exists()) == (before, False)


@pytest.mark.parametrize("kind", ["link", "copy"])
def test_a_move_that_is_killed_leaves_a_whole_copy(
    tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """At every change to the disk; moving again, or cleaning, ends with exactly one."""
    files = ("m-1.gguf", "m-2.gguf")
    shop = Shop(server, tmp_path / "catalog.toml")
    shop.sell("m", SMALL, files=files)
    home, to = tmp_path / "home", tmp_path / "other"
    env = {"LUCI_CATALOG": str(shop.file)}

    def run(*args: str, point: int = -1) -> crash_points.Ended:
        return crash_points.run(*args, home=home, env=env, point=point, signum=signal.SIGKILL if point >= 0 else 0)

    def start() -> None:
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(to, ignore_errors=True)
        assert run("install", "m").code == 0
        if kind == "copy":  # a file that is there already has to be looked at
            assert run("export", "m", str(to)).code == 0
            (to / "m-2.gguf").unlink()
            (to / "SHA256SUMS").unlink()

    start()
    points = run("move", "m", "--to", str(to)).points
    for point in range(0, points, 3):
        start()
        assert run("move", "m", "--to", str(to), point=point).code == -signal.SIGKILL
        whole = dict.fromkeys(files, SMALL)
        assert whole in [there(home / "models"), there(to)]
        assert run("clean").code in (0, 6)  # the folder is remembered before it is made
        if to.exists():
            assert run("clean", "--dir", str(to)).code == 0
        places = [there(home / "models"), there(to)]
        assert whole in places
        again = run("move", "m", "--to", str(to))
        assert again.code == 0, again.err
        assert (there(home / "models"), there(to)) == ({}, whole)


# --- a stick


def test_a_stick_takes_models_to_a_machine_without_a_line(
    stocked: Shop, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sha256sum -c` agrees with what is on it; the other machine asks no server."""
    stick = tmp_path / "stick"
    assert luci("export", "one", "set", str(stick)).returncode == 0
    assert there(models) == {"one.gguf": DATA, **SET}
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=stick, text=True, capture_output=True)
    assert (checked.returncode, checked.stdout.count(": OK")) == (0, 3)
    assert luci("list", "--dir", str(stick), "--json").stdout.count('"reference"') == 0
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    asked = len(stocked.server.exchanges())
    ended = luci("import", str(stick))
    assert ended.returncode == 0, ended.stderr
    assert there(tmp_path / "elsewhere/models") == {"one.gguf": DATA, **SET}
    assert len(stocked.server.exchanges()) == asked
    assert luci("verify").returncode == 0
    assert luci("path", "one").stdout == f"{tmp_path}/elsewhere/models/one.gguf\n"
    assert "is already in " in luci("import", str(stick), "one").stdout


def test_what_is_installed_in_another_folder_is_not_imported_again(stocked: Shop, models: Path, tmp_path: Path) -> None:
    """Also if a program touched it: it is read then; one that has changed does not count, and stays as it is."""
    stick, other, name = tmp_path / "stick", tmp_path / "other", "one.gguf"
    assert luci("export", "one", str(stick)).returncode == 0
    assert luci("move", "one", "--to", str(other)).returncode == 0
    os.utime(other / name, (1, 1))
    for dry in (["--dry-run"], []):
        assert f"already in {other}" in luci("import", str(stick), *dry).stdout
        assert name not in there(models)
    assert luci("list", "--json").stdout.count('"touched"') == 0
    (other / name).write_bytes(OTHER)
    ended = luci("import", str(stick))
    assert (ended.returncode, there(models)[name], (other / name).read_bytes()) == (0, DATA, OTHER), ended.stderr


def test_an_export_shares_nothing_with_the_original(stocked: Shop, models: Path, tmp_path: Path) -> None:
    """Not even on one disk: no hard link."""
    assert luci("export", "one", f"{tmp_path}/stick").returncode == 0
    assert (tmp_path / "stick/one.gguf").stat().st_nlink == 1


def test_a_second_export_keeps_the_first_in_the_sums(stocked: Shop, tmp_path: Path) -> None:
    assert luci("export", "one", f"{tmp_path}/stick").returncode == 0
    assert luci("export", "set", f"{tmp_path}/stick").returncode == 0
    lines = (tmp_path / "stick/SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["one.gguf", "set/set-1.gguf", "set/set-proj.gguf"]


def test_a_file_too_large_for_fat_is_refused_before_the_first_byte(shop: Shop, models: Path, tmp_path: Path) -> None:
    """The message names a file system that can hold it."""
    shop.sell("one")
    assert luci("install", "one").returncode == 0
    receipt = models / ".luci/one.gguf.receipt"
    with open(models / "one.gguf", "r+b") as file:
        file.truncate(5 << 30)
    facts = json.loads(receipt.read_text())
    info = (models / "one.gguf").stat()
    receipt.write_text(json.dumps(facts | {"size": info.st_size, "mtime_ns": info.st_mtime_ns}))
    with fat(tmp_path / "stick", 64 << 20) as stick:
        ended = luci("export", "one", f"{stick}/models")
        assert ended.returncode == 6
        assert "exFAT" in ended.stderr
        assert there(stick) == {}


def test_a_stick_with_the_names_of_windows_works(
    stocked: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an NTFS."""
    with windows_names(tmp_path / "stick") as stick:
        ended = luci("export", "one", "set", str(stick))
        assert ended.returncode == 0, ended.stderr
        monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
        assert luci("import", str(stick)).returncode == 0
    assert there(tmp_path / "elsewhere/models") == {"one.gguf": DATA, **SET}


def test_wrong_bytes_on_the_stick_are_refused(stocked: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model of two files none is imported."""
    stick = tmp_path / "stick"
    assert luci("export", "set", str(stick)).returncode == 0
    (stick / "set/set-proj.gguf").write_bytes(DATA)
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    ended = luci("import", str(stick))
    assert ended.returncode == 5, ended.stderr
    assert there(tmp_path / "elsewhere/models") == {}


@pytest.mark.parametrize("name", ["../../evil.gguf", "/etc/evil.gguf", "a/../../evil.gguf"])
def test_a_tampered_receipt_is_refused(
    stocked: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its name would leave the models folder. Nothing is changed."""
    stick = tmp_path / "stick"
    assert luci("export", "one", str(stick)).returncode == 0
    receipt = stick / ".luci/one.gguf.receipt"
    facts = json.loads(receipt.read_text())
    receipt.write_text(json.dumps(facts | {"name": name, "files": [name]}))
    monkeypatch.setenv("LUCI_HOME", str(tmp_path / "elsewhere"))
    assert_refused(luci("import", str(stick)), 5, "is invalid")
    assert not (tmp_path / "elsewhere").exists() or there(tmp_path / "elsewhere") == {}


def test_sums_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/SHA256SUMS").write_text(f"{sha256(DATA)}  ../evil.gguf\n")
    assert_refused(luci("import", f"{tmp_path}/stick"), 5, "SHA256SUMS", "could leave the models folder")


def test_files_without_receipts_are_proved_by_the_sums(shop: Shop, tmp_path: Path, models: Path) -> None:
    """What the catalog knows by its digest gets its name there, whatever it is called on the stick."""
    shop.sell("one")
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "renamed.gguf").write_bytes(DATA)
    (stick / "other.gguf").write_bytes(OTHER)
    (stick / "SHA256SUMS").write_text(f"{sha256(DATA)}  renamed.gguf\n{sha256(OTHER)} *./other.gguf\n")
    assert luci("import", str(stick)).returncode == 0
    assert there(models) == {"one.gguf": DATA, "other.gguf": OTHER}
    assert luci("path", "one").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["move", "one"], 2, "--to"),
        (["move", "nosuch", "--to", "/tmp"], 3, "there is no model"),
        (["export", "one"], 2, "the folder last"),
        (["import"], 2, "the folder to import from"),
        (["import", "/nonexistent"], 6, "Is the stick mounted?"),
        (["import", "."], 3, "no models"),
    ],
)
def test_bad_words_get_one_clear_message(
    stocked: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, text: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    words = [str(tmp_path / "empty") if word == "." else word for word in words]
    assert_refused(luci(*words), code, text)
