"""Wrong bytes: as little as possible is fetched again, and who sent them is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cancel import CancelToken
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.part_writer import PartWriter
from luci_dl.errors import IntegrityError
from luci_dl.events import Installed, Warned
from luci_dl.net.origin import host_of
from luci_dl.plan import Options
from tests.library.test_verify import flip
from tests.procs import files_left, lock_is_free
from tests.servers import FaultyServer, faults

SIZE = 24 * BLOCK + 1000
DATA = make_gguf(SIZE)
DIGEST = hashlib.sha256(DATA).hexdigest()


WRONG = bytearray(DATA)
WRONG[BLOCK :: 2 * BLOCK] = bytes(byte ^ 1 for byte in DATA[BLOCK :: 2 * BLOCK])


def wrong() -> faults.Fault:
    """The first byte of every other block is wrong; nothing else gives it away."""
    return faults.Fault(on_file=lambda file: replace(file, data=bytes(WRONG)))


class Home:
    """Two servers of one file, and a models folder."""

    def __init__(self, folder: Path, first: FaultyServer, second: FaultyServer) -> None:
        self.folder = folder
        self.servers = (first, second)
        self.warnings: list[str] = []
        self.fetched = 0

    def install(self, *urls: str) -> Path:
        words = [f"{url}#sha256={DIGEST}" for url in urls]
        options = Options(connections=4, min_free=0, retries=3)
        return luci_dl.install(*words, folder=self.folder, output=None, options=options, emit=self._hear)[0]

    def _hear(self, event: luci_dl.Event) -> None:
        if isinstance(event, Warned):
            self.warnings.append(event.message)
        if isinstance(event, Installed):
            self.fetched = event.fetched

    def assert_installed(self, path: Path) -> None:
        assert path.read_bytes() == DATA
        assert files_left(self.folder) == [".luci/", ".luci/m.gguf.lock", ".luci/m.gguf.receipt", "m.gguf"]
        assert lock_is_free(self.folder / ".luci" / "m.gguf.lock")


@pytest.fixture
def home(server: FaultyServer, tmp_path: Path) -> Iterator[Home]:
    with FaultyServer() as second:
        yield Home(tmp_path / "models", server, second)


@pytest.mark.parametrize("liar", [0, 1])
def test_a_mirror_with_wrong_blocks_is_named(home: Home, liar: int) -> None:
    """At worst the file comes whole from each, but what both sent alike comes once from each."""
    scripts = [faults.trickle(20e6), faults.trickle(20e6)]
    scripts[liar] += wrong()
    pairs = zip(home.servers, scripts, strict=True)
    urls = [server.serve("/m.gguf", DATA, faults=[script]) for server, script in pairs]
    home.assert_installed(home.install(*urls))
    assert home.fetched <= 2 * SIZE + 12 * BLOCK
    said = home.warnings[-1]
    assert said.startswith(f"{host_of(urls[liar])} sent wrong bytes of m.gguf (block")
    assert said.endswith(" of 25), which luci fetched again")
    assert not any(f"{host_of(urls[1 - liar])} sent wrong bytes" in said for said in home.warnings)


def test_an_edge_behind_a_redirect_is_named(home: Home) -> None:
    """Beside the host that redirects there."""
    hub, edge = home.servers
    good = hub.serve("/good/m.gguf", DATA, faults=[faults.trickle(20e6)])
    signed = edge.serve("/m.gguf", DATA, faults=[wrong() + faults.trickle(20e6)])
    bad = hub.serve("/m.gguf", faults=[faults.redirect(f"{signed}?secret")])
    home.assert_installed(home.install(bad, good))
    assert home.warnings[-1].startswith(f"{host_of(signed)}, to which {host_of(bad)} redirects, sent wrong bytes of")
    assert "secret" not in "".join(home.warnings)


def test_what_changed_on_disk_is_fetched_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block, from the same address; nobody sent wrong bytes."""
    url, real, files = home.servers[0].serve("/m.gguf", DATA), PartWriter.finish, list[Path]()

    def finish(writer: PartWriter, size: int, token: CancelToken) -> str:
        digest = real(writer, size, token)
        if files:
            return digest
        files.extend((home.folder / ".luci").glob("*.part"))
        flip(files[0], 5 * BLOCK)
        return hashlib.sha256(files[0].read_bytes()).hexdigest()

    monkeypatch.setattr(PartWriter, "finish", finish)
    home.assert_installed(home.install(url))
    assert home.fetched == SIZE + BLOCK
    assert len(home.warnings) == 1
    assert "block 6 of 25 changed on disk after arrival; fetching that again" in home.warnings[0]


def test_one_address_that_sends_wrong_bytes_is_not_asked_twice(home: Home) -> None:
    """All of it is as it sent it."""
    url = home.servers[0].serve("/m.gguf", DATA, faults=[wrong()])
    with pytest.raises(IntegrityError, match=f"expected SHA-256 {DIGEST}"):
        home.install(url)
    assert home.warnings == []
    assert files_left(home.folder) == [".luci/", ".luci/m.gguf.lock"]
    assert lock_is_free(home.folder / ".luci" / "m.gguf.lock")
