"""What would fail after the last byte is refused before the first one, and dry run and doctor say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import DATA, Shop, assert_nothing_left, assert_refused
from tests.disk.hands import small_disk
from tests.mounts import windows_names
from tests.procs import luci


@pytest.fixture
def elsewhere(shop: Shop, models: Path) -> Iterator[Path]:
    """A disk that is mounted where the model `m` goes."""
    shop.sell("m", files=["own/m.gguf"])
    models.mkdir(parents=True)
    with small_disk(models / "own", 8 << 20) as disk:
        yield disk


def test_a_disk_below_the_models_folder(shop: Shop, models: Path, elsewhere: Path) -> None:
    """Nothing is fetched, nothing is left, and what the message names helps."""
    said = f"{elsewhere} is on another disk than {models}"
    for words in (["--dry-run"], []):
        ended = luci("install", "m", *words)
        assert (ended.returncode, said in ended.stderr) == (6, True), ended.stderr
        assert f"--dir {elsewhere}" in ended.stderr
    assert not shop.server.exchanges("/own/m.gguf")
    assert_nothing_left(models, "own/")
    doctor = [json.loads(line) for line in luci("doctor", "--offline", "--json").stdout.splitlines()]
    assert [one["level"] for one in doctor if said in one["message"]] == ["warning"]


def test_the_backup_folder_takes_what_cannot_be_put_there(
    shop: Shop, home: Path, tmp_path: Path, elsewhere: Path
) -> None:
    """By dry run, too."""
    (home / "config.json").write_text(json.dumps({"min_free": 0, "backup_models_dir": str(tmp_path / "backup")}))
    assert f"{tmp_path / 'backup' / 'own' / 'm.gguf'}" in luci("install", "m", "--dry-run").stdout
    ended = luci("install", "m")
    assert (ended.returncode, ended.stdout) == (0, f"{tmp_path / 'backup' / 'own' / 'm.gguf'}\n"), ended.stderr
    assert "is on another disk" in ended.stderr
    assert list(elsewhere.iterdir()) == []


def test_a_name_that_the_disk_forbids(shop: Shop, home: Path, tmp_path: Path) -> None:
    """In place of the system's "Invalid argument"; `-o` helps where it can be given, another folder always."""
    shop.sell("m", files=["what?.gguf"])
    with windows_names(tmp_path / "disk") as disk:
        home.mkdir()
        (home / "config.json").write_text('{"min_free": 0}')
        ended = luci("install", "m", "--dir", disk)
        assert_refused(ended, 6, 'does not allow the name "what?.gguf": it contains ?', "-o", "--dir")
        (home / "config.json").write_text(
            json.dumps({"min_free": 0, "models_dir": str(disk), "backup_models_dir": str(tmp_path / "backup")})
        )
        assert luci("install", "m").stdout == f"{tmp_path / 'backup' / 'what?.gguf'}\n"
        assert (tmp_path / "backup" / "what?.gguf").read_bytes() == DATA
    assert len(shop.server.exchanges()) <= 2  # one each time
