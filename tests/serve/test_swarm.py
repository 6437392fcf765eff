"""Hosts share a file that `luci serve --swarm` has: real processes, one server."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from tests.cli.shop import Shop, assert_nothing_left, sha256
from tests.procs import Spawned, wait_until
from tests.servers import FaultyServer

DATA = make_gguf(24_000_000)
SHA256 = sha256(DATA)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found: int = taken.getsockname()[1]
        return found


@pytest.fixture
def shelf(tmp_path: Path, server: FaultyServer) -> Path:
    """The models folder of the server, with one model."""
    luci_dl.install(f"{server.serve('/m.gguf', DATA)}#sha256={SHA256}", folder=tmp_path / "shelf")
    return tmp_path / "shelf"


@pytest.fixture
def catalog(tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Its size is known to the hosts: `m` is at `server`, which stands for the wide line."""
    shop = Shop(server, tmp_path / "catalog.toml")
    shop.sell("m", DATA)
    monkeypatch.setenv("LUCI_CATALOG", str(shop.file))
    return shop


@contextmanager
def serving(port: int, shelf: Path, *more: str) -> Iterator[Spawned]:
    """A running `luci serve --swarm` that has made the metainfo."""
    env = {"LUCI_HOME": str(shelf.parent / "server")}
    with Spawned("serve", "--swarm", "--bind", f"127.0.0.1:{port}", "--dir", shelf, *more, env=env) as run:
        run.wait_for("Serving")
        wait_until(lambda: get(port, f"/luci/v1/torrents/{SHA256}")[0] == 200)
        yield run


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


class Host(Spawned):
    """`luci install --swarm m` of another user."""

    def __init__(self, home: Path, port: int, *more: str) -> None:
        self.folder = home / "models"
        env = {"LUCI_HOME": str(home), "LUCI_LAN": f"http://127.0.0.1:{port}"}
        super().__init__("install", "m", "--swarm", "--json", *more, env=env)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Its events of that kind."""
        events = [json.loads(line) for line in self.out.splitlines() if line.endswith("}")]
        return [event for event in events if event["event"] == kind]

    @property
    def done(self) -> int:
        return max((event["done"] for event in self.of("progress")), default=0)

    def assert_installed(self) -> None:
        """Ended, and well."""
        assert self.wait() == 0, self.out + self.err
        assert (self.folder / "m.gguf").read_bytes() == DATA
        assert_nothing_left(self.folder, "m.gguf")


@pytest.fixture
def hosts(tmp_path: Path, port: int) -> Iterator[Hosts]:
    with Hosts(tmp_path, port) as hosts:
        yield hosts


class Hosts(ExitStack):
    """Starts hosts, and ends those that still run."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__()
        self._folder = folder
        self._port = port
        self._count = 0

    def start(self, *more: str) -> Host:
        self._count += 1
        return self.enter_context(Host(self._folder / f"host{self._count}", self._port, *more))


def test_hosts_share_a_file_with_the_wide_line_cut(
    server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts
) -> None:
    """Each has all of it, proved; nobody asked the address of the file."""
    asked = len(server.exchanges())
    with serving(port, shelf):
        for host in [hosts.start() for _ in range(3)]:
            host.assert_installed()
            print(host.out, host.err)
            assert [event["host"] for event in host.of("swarming")] == [f"127.0.0.1:{port}"]
            assert host.of("warned") == []
    assert len(server.exchanges()) == asked
