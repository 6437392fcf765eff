"""Metainfo is made once for each file that may be shared, in the background, and kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk import fs
from luci_dl.errors import NotFound
from luci_dl.serve import torrents as torrents_module
from luci_dl.serve.shelf import Shelf, ShelfFile
from luci_dl.serve.torrents import Torrents
from tests.cli.shop import sha256
from tests.procs import wait_until
from tests.servers import FaultyServer

DATA = make_gguf(3_000_000)


@pytest.fixture
def shelf(tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """With one file."""
    monkeypatch.setattr(torrents_module, "SMALLEST", 2_000_000)
    luci_dl.install(f"{server.serve('/m.gguf', DATA)}#sha256={sha256(DATA)}", folder=tmp_path / "shelf")
    return Shelf([tmp_path / "shelf"])


@pytest.fixture
def torrents(tmp_path: Path, shelf: Shelf) -> Iterator[Torrents]:
    torrents = Torrents(tmp_path / "torrents", shelf)
    yield torrents
    torrents.close()


def found(shelf: Shelf) -> ShelfFile:
    file = shelf.find(sha256(DATA))
    assert file
    return file


def test_it_is_made_before_anybody_asks_and_kept(tmp_path: Path, shelf: Shelf, torrents: Torrents) -> None:
    """If it is lost, it is made again."""
    path = tmp_path / "torrents" / sha256(DATA)
    wait_until(path.exists)
    data = torrents.get(found(shelf))
    assert data == path.read_bytes()
    assert data
    assert b"4:name64:" + sha256(DATA).encode() in data
    path.unlink()
    assert torrents.get(found(shelf)) is None
    wait_until(path.exists)
    assert path.read_bytes() == data


def test_a_file_whose_bytes_have_changed_has_none(tmp_path: Path, shelf: Shelf, torrents: Torrents) -> None:
    """Though its size and its mtime say that they have not."""
    file = found(shelf)
    other = replace(file, sha256="0" * 64)
    assert torrents.get(other) is None
    wait_until(lambda: _is_refused(torrents, other))
    assert not (tmp_path / "torrents" / other.sha256).exists()


def test_what_is_small_or_gated_has_none(shelf: Shelf, torrents: Torrents) -> None:
    """Hosts ask nobody whether another one may have a file."""
    file = found(shelf)
    assert _is_refused(torrents, replace(file, access="gated"))
    assert _is_refused(torrents, replace(file, size=1_999_999))


def test_the_end_does_not_wait_for_a_large_file(tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped between two pieces, and leaves nothing."""
    reads, go_on = threading.Event(), threading.Event()
    read_at = fs.read_at

    def slowly(file: fs.File, size: int, offset: int) -> bytes:
        reads.set()
        go_on.wait(10)
        return read_at(file, size, offset)

    monkeypatch.setattr(fs, "read_at", slowly)
    torrents = Torrents(tmp_path / "torrents", shelf)
    assert reads.wait(10)
    torrents.close()
    go_on.set()
    wait_until(lambda: not any(each.name == "luci-torrents" for each in threading.enumerate()))
    assert not (tmp_path / "torrents").exists()


def _is_refused(torrents: Torrents, file: ShelfFile) -> bool:
    try:
        torrents.get(file)
    except NotFound:
        return True
    return False
