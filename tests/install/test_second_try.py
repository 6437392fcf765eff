"""Wrong bytes: as little as possible is fetched again, and who sent them is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import luci_dl
from luci_dl.cancel import CancelToken
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.blocks import BLOCK, Blocks, count
from luci_dl.disk.part_writer import PartWriter
from luci_dl.disk.senders import Sender
from luci_dl.errors import IntegrityError
from luci_dl.events import Installed, Warned
from luci_dl.install.second_try import SecondTry
from luci_dl.model import Artifact
from luci_dl.net.origin import host_of
from luci_dl.plan import Options, Segment
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


class Blocked:
    """A part of a few blocks, each a digest, that came from anywhere."""

    mixed, end_is_certain, provable = False, True, True

    def __init__(self, addresses: list[list[int]], origins: list[int | None]) -> None:
        """`addresses`: what each has; `origins`: which of them sent each block, None for one of an earlier run."""
        self.artifact = Artifact("m", tuple(f"https://{number}.example/m" for number in range(len(addresses))))
        self.size = len(origins) * BLOCK
        self.fetched = 0
        self._addresses = addresses
        self._origins = list(origins)
        self._digests: list[int | None] = [9 if who is None else addresses[who][at] for at, who in enumerate(origins)]

    @property
    def blocks(self) -> Blocks:
        found = Blocks()
        for number, digest in enumerate(self._digests):
            found[number] = digest
        return found

    def sent(self) -> dict[Sender, Blocks]:
        found: dict[Sender, Blocks] = {}
        for number, who in enumerate(self._origins):
            if who is not None:
                sender = Sender(self.artifact.urls[who], f"{who}.example")
                found.setdefault(sender, Blocks())[number] = self._digests[number]
        return found

    def damaged(self, _token: CancelToken) -> list[Segment]:
        return []

    def forget(self, segments: Sequence[Segment] | None) -> None:
        for segment in segments or [Segment(0, self.size)]:
            for number in range(segment.start // BLOCK, count(segment.end or 0)):
                self._digests[number] = self._origins[number] = None

    def fetch(self, artifact: Artifact) -> None:
        (url,) = artifact.urls
        who = self.artifact.urls.index(url)
        for number, digest in enumerate(self._digests):
            if digest is None:
                self._digests[number], self._origins[number] = self._addresses[who][number], who
                self.fetched += 1

    def verify(self, _token: CancelToken) -> str:
        if any(self._digests):
            raise IntegrityError("wrong")
        return ""


@given(st.data())
def test_one_right_address_is_enough(data: st.DataObject) -> None:
    """Whoever sent what: none has a block fetched twice in its turn, and those that sent wrong ones are named."""
    blocks, right = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 3))
    addresses = [data.draw(st.lists(st.integers(0, 2), min_size=blocks, max_size=blocks)) for _ in range(4)]
    addresses[right] = [0] * blocks
    origin = st.none() | st.integers(0, 3)
    origins = data.draw(st.lists(origin, min_size=blocks, max_size=blocks))
    part, warnings = Blocked(addresses, origins), list[str]()
    context = SimpleNamespace(token=CancelToken(), options=Options(), emit=lambda event: warnings.append(event.message))
    SecondTry(part, context, part.fetch, elsewhere=None in origins).run()  # type: ignore[arg-type]
    assert part.blocks.text() == "0" * 8 * blocks
    assert part.fetched <= 4 * blocks
    liars = {who for number, who in enumerate(origins) if who is not None and addresses[who][number]}
    named = {int(said[0]) for said in warnings if " sent wrong bytes of m (block" in said}
    assert liars <= named <= {who for who in range(4) if any(addresses[who])}
