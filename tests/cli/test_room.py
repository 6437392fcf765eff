"""Disks that are too small: an error before the first byte, with what would help; and a backup folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.model import Artifact
from tests.cli.shop import Shop, assert_nothing_left, assert_refused, sha256
from tests.disk.hands import kill_after, small_disk
from tests.mounts import small_quota
from tests.procs import luci
from tests.servers.faults import chunked, no_ranges

MIB = 1 << 20
SMALL, BIG = make_gguf(MIB), make_gguf(3 * MIB, seed=1)


@pytest.fixture
def disk(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The models folder, with space for 4 MiB."""
    with small_disk(tmp_path / "disk", 4 * MIB) as there:
        configure(home, tmp_path)
        monkeypatch.setenv("LUCI_MODELS_DIR", str(there))
        yield there


@pytest.fixture
def backup(tmp_path: Path, home: Path, disk: Path) -> Path:
    """The backup folder, which does not exist yet."""
    configure(home, tmp_path, backup_models_dir=str(tmp_path / "backup"))
    return tmp_path / "backup"


def configure(home: Path, tmp_path: Path, **settings: object) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text(json.dumps({"min_free": 0, **settings}))


def test_what_does_not_fit_is_refused_before_the_first_byte(shop: Shop, disk: Path) -> None:
    """With what is needed, what is free, and what could be removed."""
    shop.sell("small", SMALL)
    assert luci("install", "small").returncode == 0
    kill_after(disk, BIG[: 2 * MIB], MIB + MIB // 2, "left.gguf")
    shop.sell("big", BIG)
    asked = len(shop.server.exchanges("/big.gguf"))
    ended = luci("install", "big")
    assert_refused(ended, 6, f"no room for big in {disk}: 3.1MB needed, ", " free")
    assert "Largest models: small (1.0MB); `luci remove NAME` removes one." in ended.stderr
    assert "Unfinished downloads: 2.1MB; `luci clean` removes them." in ended.stderr
    assert len(shop.server.exchanges("/big.gguf")) == asked


def test_many_models_are_added_up_first(shop: Shop, disk: Path) -> None:
    """Nothing is fetched, and the message says which would fit; installed models do not count."""
    for name in ("one", "two", "three"):
        shop.sell(name, make_gguf(MIB * 13 // 10, seed=len(name)))
    shop.sell("there", SMALL)
    assert luci("install", "there").returncode == 0
    ended = luci("install", "there", "one", "two", "three")
    assert_refused(ended, 6, f"no room for all 4 models in {disk}: 4.1MB needed", "These would fit: there, one, two.")
    assert not any(shop.server.exchanges(f"/{name}.gguf") for name in ("one", "two", "three"))
    assert luci("install", "there", "one").returncode == 0


def test_a_kept_part_needs_only_the_missing_space(shop: Shop, disk: Path) -> None:
    """A kept part of 2 MiB needs one more MiB, which is free."""
    shop.sell("big", BIG)
    artifact = Artifact("big.gguf", (shop.server.url("/big.gguf"),), len(BIG), sha256(BIG))
    kill_after(disk, BIG, 2 * MIB, artifact=artifact)
    (disk / "other").write_bytes(bytes(MIB // 2))
    ended = luci("install", "big")
    assert ended.returncode == 0, ended.stderr
    assert (disk / "big.gguf").read_bytes() == BIG


def test_the_backup_folder_takes_what_an_import_has_no_room_for(
    shop: Shop, disk: Path, backup: Path, tmp_path: Path
) -> None:
    """As for an install; the dry run says the same and makes no folder. A folder that is named has no backup."""
    shop.sell("small", SMALL)
    shop.sell("big", BIG)
    stick = tmp_path / "stick"
    assert luci("install", "small", "big", "--dir", f"{tmp_path}/from").returncode == 0
    assert luci("export", "small", "big", str(stick)).returncode == 0
    assert luci("remove", "small", "big", "--yes").returncode == 0
    (disk / "other").write_bytes(bytes(2 * MIB))
    assert_refused(luci("import", str(stick), "--dir", str(disk)), 6, f"no room for what is missing in {disk}")
    assert_nothing_left(disk, "other")
    for words, begin in (["--dry-run"], "Would import"), ([], "✅ Imported"):
        assert not backup.exists()
        ended = luci("import", str(stick), *words)
        assert ended.returncode == 0, ended.stderr
        assert f"big goes to {backup}" in ended.stderr
        assert f"{begin} big to {backup} " in ended.stdout
        assert f"{begin} small to {disk} " in ended.stdout
    assert_nothing_left(disk, "small.gguf", "other")
    assert_nothing_left(backup, "big.gguf")
    assert luci("verify").returncode == 0


def test_the_backup_folder_takes_what_the_first_cannot(shop: Shop, disk: Path, backup: Path) -> None:
    """Each model goes where it fits; luci says so, and every command finds it there."""
    shop.sell("small", SMALL)
    shop.sell("big", BIG)
    (disk / "other").write_bytes(bytes(2 * MIB))
    ended = luci("install", "small", "big")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [str(disk / "small.gguf"), str(backup / "big.gguf")]
    assert f"no room for big in {disk}: 3.1MB needed, 1.0MB free" in ended.stderr
    assert f"big goes to {backup}" in ended.stderr
    assert_nothing_left(disk, "small.gguf", "other")
    assert_nothing_left(backup, "big.gguf")
    assert luci("path", "big").stdout == f"{backup}/big.gguf\n"
    assert "big" in luci("list").stdout
    assert str(backup / "big.gguf") in luci("info", "big").stdout
    assert f"ok         {backup}/big.gguf" in luci("verify", "big").stdout
    assert str(backup) in luci("doctor", "--offline").stdout
    assert luci("remove", "--yes", "big").returncode == 0
    assert not (backup / "big.gguf").exists()


def test_what_is_installed_in_the_backup_folder_is_installed(shop: Shop, disk: Path, backup: Path) -> None:
    """It is not fetched again into the first one, although that has space now."""
    shop.sell("big", BIG)
    (disk / "other").write_bytes(bytes(2 * MIB))
    assert luci("install", "big").returncode == 0
    (disk / "other").unlink()
    asked = len(shop.server.exchanges("/big.gguf"))
    ended = luci("install", "big")
    assert (ended.returncode, ended.stdout) == (0, f"{backup}/big.gguf\n")
    assert "already installed" in ended.stderr
    assert len(shop.server.exchanges("/big.gguf")) == asked
    assert_nothing_left(disk)


def test_a_set_is_never_split_over_two_folders(shop: Shop, disk: Path, backup: Path) -> None:
    """Although its first shard would fit."""
    shards = [f"set-0000{number}-of-00002.gguf" for number in (1, 2)]
    shop.sell("set", BIG, files=shards)
    ended = luci("install", "set")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [str(backup / name) for name in shards]
    assert_nothing_left(disk)


def test_a_size_that_is_learned_late_leads_to_the_backup_folder_too(shop: Shop, disk: Path, backup: Path) -> None:
    """If only the server's response shows that the first folder is too small."""
    data = make_gguf(6 * MIB, seed=2)
    shop.sell("late", data, digest=False)
    ended = luci("install", "late")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{backup}/late.gguf\n"
    assert "no room for late.gguf: 6.3MB needed" in ended.stderr
    assert_nothing_left(disk)


def test_a_named_folder_has_no_backup(shop: Shop, disk: Path, backup: Path) -> None:
    """--dir means that folder and no other."""
    shop.sell("huge", make_gguf(6 * MIB, seed=2))
    assert_refused(luci("install", "huge", "--dir", disk), 6, "no room for huge")
    assert not backup.exists()


@pytest.mark.parametrize("inodes", range(1, 6))
def test_a_disk_without_inodes_leads_to_the_backup_folder(
    shop: Shop, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, inodes: int
) -> None:
    """Whichever file or folder is the first that cannot be created; what was created is removed again."""
    shop.sell("small", SMALL)
    backup = tmp_path / "backup"
    configure(home, tmp_path, backup_models_dir=str(backup))
    with small_disk(tmp_path / "disk", 8 * MIB, inodes) as disk:
        monkeypatch.setenv("LUCI_MODELS_DIR", str(disk / "models"))
        ended = luci("install", "small")
        assert (ended.returncode, ended.stdout) == (0, f"{backup}/small.gguf\n"), ended.stderr
        assert f"no inodes are left on {disk}\n" in ended.stderr
        assert_nothing_left(disk / "models")
        assert_nothing_left(backup, "small.gguf")
        refused = luci("install", "small", "--dir", disk / "models", "--force")
        assert_refused(refused, 6, f"no inodes are left on {disk}\n", "It can hold no more files")
        assert "needed" not in refused.stderr


def test_a_quota_is_reported_as_one(shop: Shop, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as a full disk: without figures of the free space, which do not explain it."""
    configure(home, tmp_path)
    shop.sell("small", SMALL)
    shop.sell("big", BIG * 4)
    with small_quota(tmp_path / "disk", 8 * MIB) as folder:
        monkeypatch.setenv("LUCI_MODELS_DIR", str(folder))
        assert luci("install", "small").returncode == 0
        ended = luci("install", "big")
        assert_refused(ended, 6, f"your quota on {tmp_path / 'disk'} allows no more\n", "Largest models: small")
        assert " free" not in ended.stderr.replace("Free", "")
        assert_nothing_left(folder, "small.gguf")


def test_if_neither_has_space_the_first_one_is_reported(shop: Shop, disk: Path, tmp_path: Path, home: Path) -> None:
    """And exit code 6."""
    shop.sell("huge", make_gguf(6 * MIB, seed=2))
    with small_disk(tmp_path / "second", MIB) as second:
        configure(home, tmp_path, backup_models_dir=str(second))
        assert_refused(luci("install", "huge"), 6, f"no room for huge in {disk}")
        assert_nothing_left(second)
        assert_nothing_left(disk)


def test_a_dry_run_reports_where_a_model_would_go(shop: Shop, disk: Path, backup: Path) -> None:
    """And changes nothing."""
    shop.sell("huge", make_gguf(6 * MIB, seed=2))
    ended = luci("install", "huge", "--dry-run", "--json")
    assert ended.returncode == 0, ended.stderr
    facts = [json.loads(line) for line in ended.stdout.splitlines()]
    diverted = next(fact for fact in facts if fact["event"] == "fallback_folder_used")
    assert (diverted["reference"], diverted["folder"]) == ("huge", str(backup))
    assert next(fact for fact in facts if fact["event"] == "would_install")["path"] == f"{backup}/huge.gguf"
    assert not backup.exists()


def test_an_installed_model_needs_no_space(shop: Shop, disk: Path) -> None:
    """On a disk that is full to the last byte."""
    shop.sell("small", SMALL)
    assert luci("install", "small").returncode == 0
    info = os.statvfs(disk)
    (disk / "other").write_bytes(bytes(info.f_bavail * info.f_frsize))
    ended = luci("install", "small")
    assert (ended.returncode, ended.stdout) == (0, f"{disk}/small.gguf\n"), ended.stderr


def test_a_disk_that_runs_full_in_the_middle_is_reported_with_what_would_help(shop: Shop, disk: Path) -> None:
    """The part is removed, so its space is free again."""
    shop.sell("small", SMALL)
    assert luci("install", "small").returncode == 0
    shop.sell("endless", make_gguf(6 * MIB, seed=2), [no_ranges() + chunked()], digest=False)
    ended = luci("install", "endless")
    assert_refused(ended, 6, "Largest models: small (1.0MB)", "free)")
    assert_nothing_left(disk, "small.gguf")
