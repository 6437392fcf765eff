"""luci as a client of the real `luci serve`: the wide line is idle while that one sends."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.events import Event, Progress, Serving
from luci_dl.plan import Options
from luci_dl.rate_limit import RateLimit
from tests.cli.shop import assert_nothing_left, sha256
from tests.procs import Spawned, wait_until
from tests.servers import FaultyServer

DATA = make_gguf(3_000_000)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found: int = taken.getsockname()[1]
        return found


@pytest.fixture
def shelf(tmp_path: Path, server: FaultyServer) -> Path:
    """The models folder of the server, with one model installed from `server`."""
    luci_dl.install(f"{server.serve('/m.gguf', DATA)}#sha256={sha256(DATA)}", folder=tmp_path / "shelf")
    return tmp_path / "shelf"


@contextmanager
def serving(port: int, shelf: Path, *more: str) -> Iterator[Spawned]:
    """A running `luci serve`, as another user's."""
    env = {"LUCI_HOME": str(shelf.parent / "server")}
    with Spawned("serve", "--bind", f"127.0.0.1:{port}", "--dir", shelf, *more, env=env) as run:
        run.wait_for("Serving")
        yield run


def install(word: str, port: int, events: list[Event], rate: int | None = None) -> None:
    options = Options(lan=(f"http://127.0.0.1:{port}",), adopt=False, limit_rate=RateLimit(rate))
    luci_dl.install(word, options=options, emit=events.append)


def test_a_file_comes_by_its_digest_with_the_wide_line_cut(
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
    assert [(each.host, each.reason) for each in events if isinstance(each, Serving)] == [(f"127.0.0.1:{port}", "")]


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
