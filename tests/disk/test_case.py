"""Names that differ only by case, on a file system that ignores case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import Lock
from luci_dl.disk.transaction import Transaction
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left, assert_refused
from tests.disk.hands import OPTIONS, artifact_of, gguf, install, kill_after, opened, part_at
from tests.mounts import folding_case
from tests.procs import luci
from tests.servers import FaultyServer


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with folding_case(tmp_path / "disk") as there:
        yield there


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    home.mkdir()
    (home / "config.json").write_text('{"min_free": 0}')
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "catalog.toml"))
    return Shop(server, tmp_path / "catalog.toml")


def test_models_whose_names_differ_by_case_never_become_one_another(disk: Path, shop: Shop) -> None:
    """The second one is refused with both names and a hint; the first stays as it is."""
    shop.sell("upper", files=["Model.gguf"])
    shop.sell("lower", OTHER, files=["model.gguf"])
    assert luci("install", "upper", "--dir", disk).returncode == 0
    ended = luci("install", "lower", "--dir", disk)
    assert_refused(ended, 5, "exists as Model.gguf of upper", "luci remove upper")
    assert (disk / "Model.gguf").read_bytes() == DATA
    assert luci("path", "upper").stdout == f"{disk}/Model.gguf\n"
    assert luci("path", "lower").returncode == 3
    assert_nothing_left(disk, "model.gguf")  # as this driver lists it
    assert luci("remove", "--yes", "upper").returncode == 0
    assert luci("install", "lower", "--dir", disk).returncode == 0
    assert (disk / "model.gguf").read_bytes() == OTHER


def test_the_same_bytes_with_the_other_name_belong_to_the_first_model(disk: Path) -> None:
    """Otherwise removing one would remove both."""
    data = gguf(1000)
    install(disk, (data, "Model.gguf"))
    other = artifact_of(data, "model.gguf")
    with Transaction(disk, [other], options=OPTIONS) as transaction:
        assert transaction.look(other).state == "foreign"


def test_the_lock_of_both_names_is_one(disk: Path) -> None:
    """So two processes never write to one part."""
    upper, lower = Lock(staging_for(disk, "Model.gguf").lock), Lock(staging_for(disk, "model.gguf").lock)
    assert upper.try_acquire()
    assert not lower.try_acquire()
    upper.release()
    assert lower.try_acquire()
    lower.release()


def test_a_kept_part_is_not_resumed_under_the_other_name(disk: Path) -> None:
    """Although the path leads to it."""
    data = gguf(50_000)
    kill_after(disk, data, 20_000, "Model.gguf")
    part = part_at(disk, artifact_of(data, "model.gguf"))
    assert opened(part) == 0
    part.remove()
    del part
