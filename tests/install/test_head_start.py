"""The first request goes out while the disk is prepared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import luci_dl
from luci_dl.disk.locks import Locks
from luci_dl.errors import LockedError, StorageError
from luci_dl.plan import Options
from tests.cli.shop import DATA, OTHER, Shop, assert_nothing_left
from tests.interrupting import held
from tests.procs import wait_until
from tests.servers import FaultyServer


@pytest.fixture
def shop(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("LUCI_CATALOG", str(tmp_path / "catalog.toml"))
    return Shop(server, tmp_path / "catalog.toml")


@pytest.fixture
def before_the_lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something called before the locks are taken."""
    acquire = Locks.acquire

    def patch(call: Callable[[], object]) -> None:
        def acquire_later(*args: object) -> None:
            call()
            acquire(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(Locks, "acquire", acquire_later)

    return patch


@pytest.mark.parametrize("files", [["m.gguf"], ["m-1.gguf", "m-2.gguf"]])
def test_the_request_comes_before_the_lock_is_taken(
    shop: Shop, home: Path, before_the_lock: Callable[[Callable[[], object]], None], files: list[str]
) -> None:
    """And its response is used: each file is requested once."""
    shop.sell("m", files=files)
    before_the_lock(lambda: wait_until(shop.server.exchanges))
    assert luci_dl.install("m") == [home / "models" / file for file in files]
    assert [path.read_bytes() for path in (home / "models").glob("*.gguf")] == [DATA] * len(files)
    assert len(shop.server.exchanges()) == len(files)


def test_a_file_that_is_there_gets_none(
    shop: Shop, home: Path, before_the_lock: Callable[[Callable[[], object]], None]
) -> None:
    """The first one that is missing does."""
    shop.sell("m", files=["m-1.gguf", "m-2.gguf"])
    luci_dl.install("m")
    (home / "models" / "m-2.gguf").unlink()
    (home / "models" / ".luci" / "m-2.gguf.receipt").unlink()
    before_the_lock(lambda: wait_until(lambda: len(shop.server.exchanges("/m-2.gguf")) == 2))
    luci_dl.install("m", options=Options(adopt=False))  # m-1.gguf has the same bytes
    assert len(shop.server.exchanges("/m-1.gguf")) == 1


def test_a_copy_on_this_machine_prevents_it(shop: Shop, home: Path, tmp_path: Path) -> None:
    """No byte has to come from a server."""
    shop.sell("m")
    (tmp_path / "copy.gguf").write_bytes(DATA)
    luci_dl.install("m", options=Options(copies=(tmp_path / "copy.gguf",)))
    assert (home / "models" / "m.gguf").read_bytes() == DATA
    assert not shop.server.exchanges()


def test_a_lock_that_is_held_prevents_it(shop: Shop, home: Path) -> None:
    """Nothing is requested for what somebody else fetches."""
    shop.sell("m")
    with held(home / "models" / ".luci" / "m.gguf.lock"), pytest.raises(LockedError):
        luci_dl.install("m", options=Options(wait=0))
    assert not shop.server.exchanges()


def test_what_fails_before_the_first_byte_takes_nothing(
    shop: Shop, home: Path, before_the_lock: Callable[[Callable[[], object]], None]
) -> None:
    """The response is closed, and the next install begins anew."""

    def fail() -> None:
        wait_until(shop.server.exchanges)
        raise StorageError("no lock today")

    shop.sell("m", OTHER)
    before_the_lock(fail)
    with pytest.raises(StorageError, match="no lock today"):
        luci_dl.install("m")
    assert_nothing_left(home / "models")
