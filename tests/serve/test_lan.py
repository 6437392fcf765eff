"""luci as a client of the real `luci serve`: the uplink is idle while that one sends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.events import Event, Progress, Serving, Warned
from luci_dl.plan import Options
from luci_dl.rate_limit import RateLimit
from luci_dl.sources.selection import FileSelection
from tests.cli.shop import assert_nothing_left, sha256
from tests.procs import Spawned, wait_until
from tests.servers import FaultyServer
from tests.servers.hub import Hub

DATA = make_gguf(3_000_000)


@pytest.fixture
def shelf(tmp_path: Path, server: FaultyServer) -> Path:
    """The models folder of the server, with one model installed from `server`."""
    luci_dl.install(f"{server.serve('/m.gguf', DATA)}#sha256={sha256(DATA)}", folder=tmp_path / "shelf")
    return tmp_path / "shelf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("me/m", {"m.gguf": DATA, "config.json": b"{}"})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@contextmanager
def serving(port: int, shelf: Path, *more: str, **variables: str) -> Iterator[Spawned]:
    """A running `luci serve`, as another user's; `variables` of its environment."""
    env = {"LUCI_HOME": str(shelf.parent / "server"), "HF_TOKEN": "", **variables}
    with Spawned("serve", "--bind", f"127.0.0.1:{port}", "--dir", shelf, *more, env=env) as run:
        run.wait_for("Serving")
        yield run


def install(word: str, port: int, events: list[Event], rate: int | None = None, folder: Path | None = None) -> None:
    options = Options(lan=(f"http://127.0.0.1:{port}",), adopt=False, limit_rate=RateLimit(rate), retries=1)
    files = FileSelection(all_files=word.startswith("hf:"))
    luci_dl.install(word, options=options, emit=events.append, folder=folder, selection=files)


def served(events: Sequence[Event]) -> list[str]:
    """Who sent the model file."""
    return [each.host for each in events if isinstance(each, Serving) and each.name.endswith(".gguf")]


def test_a_file_comes_by_its_digest_with_the_uplink_cut(
    server: FaultyServer, port: int, shelf: Path, home: Path
) -> None:
    """The address that the user names is not asked."""
    events: list[Event] = []
    asked = len(server.exchanges())
    with serving(port, shelf):
        install(f"{server.url('/m.gguf')}#sha256={sha256(DATA)}", port, events)
    assert (home / "models/m.gguf").read_bytes() == DATA
    assert_nothing_left(home / "models", "m.gguf")
    assert len(server.exchanges()) == asked
    assert served(events) == [f"127.0.0.1:{port}"]


def test_what_it_has_not_got_comes_from_the_address(server: FaultyServer, port: int, shelf: Path, home: Path) -> None:
    """At once."""
    other = make_gguf(300_000, seed=2)
    with serving(port, shelf):
        install(f"{server.serve('/n.gguf', other)}#sha256={sha256(other)}", port, [])
    assert (home / "models/n.gguf").read_bytes() == other
    assert_nothing_left(home / "models", "n.gguf")


def test_a_server_that_is_killed_and_started_again_goes_on(
    server: FaultyServer, port: int, shelf: Path, home: Path
) -> None:
    """No byte comes from elsewhere meanwhile."""
    events: list[Event] = []
    asked = len(server.exchanges())
    word = f"{server.url('/m.gguf')}#sha256={sha256(DATA)}"
    client = threading.Thread(target=install, args=(word, port, events, 1_000_000))
    with serving(port, shelf) as first:
        client.start()
        wait_until(lambda: any(isinstance(event, Progress) and event.done > 500_000 for event in events))
        first.signal(signal.SIGKILL)
        first.wait()
    with serving(port, shelf):
        client.join(30)
    assert (home / "models/m.gguf").read_bytes() == DATA
    assert_nothing_left(home / "models", "m.gguf")
    assert len(server.exchanges()) == asked


def test_two_clients_at_once_cost_one_copy_and_the_next_one_none(
    hub: Hub, port: int, tmp_path: Path, home: Path
) -> None:
    """The last one even with the uplink cut: then the word of the server counts, and luci says so."""
    hub.rate = 2_000_000.0
    events: list[list[Event]] = [[], [], []]
    folders = [tmp_path / name for name in ("a", "b", "c")]
    with serving(port, tmp_path / "shelf"):
        clients = [
            threading.Thread(target=install, args=("hf:me/m", port, events[number], None, folders[number]))
            for number in range(2)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(30)
        sent = [seen for seen in hub.seen("store") if seen.method == "GET"]
        hub.close()
        install("hf:me/m", port, events[2], None, folders[2])
    for folder, heard in zip(folders, events, strict=True):
        assert (folder / "me/m/m.gguf").read_bytes() == DATA
        assert (folder / "me/m/config.json").read_bytes() == b"{}"
        assert_nothing_left(folder, "me/", "me/m/", "me/m/config.json", "me/m/m.gguf")
        assert served(heard) == [f"127.0.0.1:{port}"]
    ranges = [seen.headers.get("range") for seen in sent]
    assert len(set(ranges)) == len(ranges)
    warnings = [event.message for event in events[2] if isinstance(event, Warned)]
    assert any(f"known only from http://127.0.0.1:{port}" in message for message in warnings), warnings


@pytest.mark.parametrize("rate", [None, 3_000_000.0])
def test_a_server_with_wrong_bytes_from_upstream_costs_the_client_nothing_but_time(
    hub: Hub, port: int, tmp_path: Path, home: Path, rate: float | None
) -> None:
    """It says so, although it has sent some; the Hub has the right ones."""
    events: list[Event] = []
    with Hub() as wrong:
        wrong.rate = rate
        wrong.add("me/m", {"m.gguf": DATA, "config.json": b"{}"}, swapped={"m.gguf": DATA[:1000] + b"!" + DATA[1001:]})
        with serving(port, tmp_path / "shelf", HF_ENDPOINT=wrong.endpoint):
            install("hf:me/m", port, events)
    assert (home / "models/me/m/m.gguf").read_bytes() == DATA
    assert_nothing_left(home / "models", "me/", "me/m/", "me/m/config.json", "me/m/m.gguf")
    (*_, last) = (event for event in events if isinstance(event, Serving))
    assert last.host == hub.endpoint.removeprefix("http://")
    assert f"127.0.0.1:{port} cannot send the file (502)" in last.reason


def test_a_gated_file_comes_from_the_hub(
    hub: Hub, port: int, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http is no way for a token."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    hub.tokens.add("secret")
    hub.repos["me/m"].gated = True
    events: list[Event] = []
    with serving(port, tmp_path / "shelf"):
        install("hf:me/m", port, events)
    assert (home / "models/me/m/m.gguf").read_bytes() == DATA
    assert_nothing_left(home / "models", "me/", "me/m/", "me/m/config.json", "me/m/m.gguf")
    assert not served(events)
