"""A model that is installed already is answered by its receipts, unless there is something to do or to wait for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import luci_dl
from luci_dl.disk import transaction
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import LockedError
from luci_dl.events import Event, Installed
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left
from tests.disk.hands import held
from tests.servers import FaultyServer

NAMES = ["m-1.gguf", "m-2.gguf"]


class Taken(Exception):
    """A transaction was begun."""


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """It has sold a model of two files."""
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "catalog.toml"))
    shop = Shop(server, tmp_path / "catalog.toml")
    shop.sell("m", files=NAMES)
    luci_dl.install("m")

    def begin(*_args: object, **_options: object) -> None:
        raise Taken

    monkeypatch.setattr(transaction, "Transaction", begin)
    return shop


def state_of(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (os.lstat(path).st_ino, os.lstat(path).st_mtime_ns) for path in folder.rglob("*")}


def test_what_is_installed_is_said_without_a_lock(shop: Shop, home: Path) -> None:
    """Nothing is written, not even into a lock file, and no server is asked."""
    before, told = state_of(home), list[Event]()
    assert luci_dl.install("m", emit=told.append) == [home / "models" / name for name in NAMES]
    (installed,) = [event for event in told if isinstance(event, Installed)]
    assert (installed.outcome, installed.size, installed.fetched) == ("already", 2 * len(DATA), 0)
    assert state_of(home) == before
    assert len(shop.server.exchanges()) == len(NAMES)
    assert_nothing_left(home / "models", *NAMES)


CHANGES: dict[str, Callable[[Path], object]] = {
    "touched": lambda models: os.utime(models / NAMES[1], (1, 1)),
    "changed": lambda models: (models / NAMES[1]).write_bytes(DATA[:-1]),
    "missing": lambda models: (models / NAMES[1]).unlink(),
    "no receipt": lambda models: (models / ".luci" / f"{NAMES[1]}.receipt").unlink(),
    "cut off": lambda models: (models / ".luci" / f"{NAMES[1]}.journal").touch(),
    "to be rolled forward": lambda models: (models / ".luci" / f"{NAMES[0]}.commit").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_must_be_examined_takes_a_transaction(shop: Shop, home: Path, change: str) -> None:
    """One file is enough."""
    CHANGES[change](home / "models")
    with pytest.raises(Taken):
        luci_dl.install("m")


def test_another_version_takes_a_transaction(shop: Shop) -> None:
    """As does --force."""
    with pytest.raises(Taken):
        luci_dl.install("m", options=luci_dl.Options(force=True))
    shop.sell("m", OTHER, files=NAMES)
    with pytest.raises(Taken):
        luci_dl.install("m")


def test_who_works_on_an_installed_model_is_waited_for(shop: Shop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be about to remove or replace it."""
    monkeypatch.setattr(transaction, "Transaction", Transaction)
    with held(home / "models", NAMES[1]), pytest.raises(LockedError):
        luci_dl.install("m", options=luci_dl.Options(wait=0))
    assert_nothing_left(home / "models", *NAMES)
