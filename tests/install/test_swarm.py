"""What a server says about the pieces of a file is believed in nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.events import Event, Installed, Progress, Serving, Swarming, Warned
from luci_dl.install import swarm as swarm_module
from luci_dl.net.client import Client
from luci_dl.net.document import Document
from luci_dl.net.documents import read_document
from luci_dl.plan import Options
from luci_dl.serve.metainfo import metainfo
from tests.cli.shop import Shop, assert_nothing_left, sha256
from tests.servers import FaultyServer, faults

DATA, WRONG = make_gguf(17_000_000), make_gguf(17_000_000, seed=1)


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """`m` at `server`, its own address."""
    shop = Shop(server, tmp_path / "catalog.toml")
    shop.sell("m", DATA)
    monkeypatch.setenv("LUCI_CATALOG", str(shop.file))
    monkeypatch.setattr(swarm_module, "SILENCE_S", 1.0)
    return shop


@pytest.fixture
def lan() -> Iterator[FaultyServer]:
    with FaultyServer() as lan:
        yield lan


def metainfo_of(data: bytes) -> bytes:
    return metainfo(sha256(data), len(data), io.BytesIO(data).read, lambda: None)


def install(lan: FaultyServer) -> list[Event]:
    """Install `m` with that server. Returns: the events."""
    events: list[Event] = []
    luci_dl.install("m", options=Options(lan=(lan.url("").rstrip("/"),), swarm=True, retries=0), emit=events.append)
    return events


def assert_installed(home: Path) -> None:
    assert (home / "models/m.gguf").read_bytes() == DATA
    assert_nothing_left(home / "models", "m.gguf")


def test_bytes_of_a_wrong_metainfo_come_again_from_the_address(home: Path, lan: FaultyServer) -> None:
    """All pieces fit it, and yet the SHA-256 of the whole shows that the file is another one."""
    lan.serve(f"/luci/v1/torrents/{sha256(DATA)}", metainfo_of(WRONG))
    lan.serve(f"/luci/v1/files/{sha256(WRONG)}", WRONG)
    events = install(lan)
    assert_installed(home)
    assert [type(event) for event in events if isinstance(event, Swarming | Serving)] == [Swarming]
    (warned,) = [event.message for event in events if isinstance(event, Warned)]
    assert "SHA-256" in warned


@pytest.mark.parametrize("body", [b"", b"nonsense", metainfo_of(DATA + b"x")])
def test_what_is_no_metainfo_of_the_file_is_not_used(home: Path, lan: FaultyServer, body: bytes) -> None:
    """The server is asked for the whole file then."""
    lan.serve(f"/luci/v1/torrents/{sha256(DATA)}", body)
    lan.serve(f"/luci/v1/files/{sha256(DATA)}", DATA)
    events = install(lan)
    assert_installed(home)
    assert [type(event) for event in events if isinstance(event, Swarming | Serving | Warned)] == [Serving]


def test_a_swarm_that_brings_nothing_is_left(home: Path, lan: FaultyServer) -> None:
    """The server names nobody, and has not got the file itself."""
    lan.serve(f"/luci/v1/torrents/{sha256(DATA)}", metainfo_of(DATA))
    events = install(lan)
    assert_installed(home)
    assert "other hosts have sent nothing" in next(event.message for event in events if isinstance(event, Warned))


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"<html>", b'{"fetching": "x", "hosts": 5}', b'{"fetching": 0, "hosts": [["nobody", 1], [0], 7]}'],
)
def test_a_tracker_that_says_nonsense_does_no_harm(
    home: Path, lan: FaultyServer, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """What the server itself sends suffices."""
    asked: list[str] = []

    def answered(client: Client, url: str, headers: Mapping[str, str], at_most: int, repository: str) -> Document:
        if "/announce/" not in url:
            return read_document(client, url, headers, at_most, repository)
        asked.append(url)
        return Document(url, 200, {}, answer)

    monkeypatch.setattr(swarm_module, "read_document", answered)
    lan.serve(f"/luci/v1/torrents/{sha256(DATA)}", metainfo_of(DATA))
    lan.serve(f"/luci/v1/files/{sha256(DATA)}", DATA)
    events = install(lan)
    assert_installed(home)
    assert [type(event) for event in events if isinstance(event, Swarming | Serving | Warned)] == [Swarming]
    assert asked


def test_a_file_that_is_on_its_way_goes_on_in_the_swarm(
    home: Path, server: FaultyServer, lan: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as the server has the pieces; nothing comes twice, and what is there is right."""
    data = make_gguf(30_000_000)
    digest = sha256(data)
    monkeypatch.setattr(swarm_module, "AGAIN_S", 0.2)
    url = server.serve("/n.gguf", data)
    catalog = home.parent / "catalog.toml"
    catalog.write_text(
        f'[[model]]\nname = "m"\n[[model.file]]\nfilename = "m.gguf"\nurl = "{url}"\nsize = {len(data)}\n'
        f'sha256 = "{digest}"\n'
    )
    asked = len(server.exchanges())
    lan.serve(f"/luci/v1/files/{digest}", data, [faults.trickle(5_000_000)])
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress) and 2_000_000 < event.done < 10_000_000:
            lan.serve(f"/luci/v1/torrents/{digest}", metainfo_of(data))
            lan.serve(f"/luci/v1/files/{digest}", data)

    options = Options(lan=(lan.url("").rstrip("/"),), swarm=True, retries=0)
    luci_dl.install("m", options=options, emit=emit)
    assert (home / "models/m.gguf").read_bytes() == data
    assert_nothing_left(home / "models", "m.gguf")
    assert [type(event) for event in events if isinstance(event, Swarming | Serving | Warned)] == [Serving, Swarming]
    (installed,) = [event for event in events if isinstance(event, Installed)]
    assert installed.fetched < len(data) + 2 * (1 << 20)
    assert len(server.exchanges()) == asked


@pytest.mark.parametrize("lan", [(), ("https://127.0.0.1:9",)])
def test_a_swarm_that_there_cannot_be_is_warned_of(server: FaultyServer, home: Path, lan: tuple[str, ...]) -> None:
    """Nobody names the other hosts; the file comes as without."""
    events: list[Event] = []
    word = f"{server.serve('/a.gguf', DATA)}#sha256={sha256(DATA)}"
    luci_dl.install(word, options=Options(lan=lan, swarm=True, retries=0), emit=events.append)
    assert [each.message for each in events if isinstance(each, Warned) and "plain http" in each.message]
    assert (home / "models/a.gguf").read_bytes() == DATA
