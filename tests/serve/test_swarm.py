"""Hosts share a file that `luci serve --swarm` has: real processes, one server."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.blocks import BLOCK
from luci_dl.swarm.session import Session
from luci_dl.swarm.torrent import Metainfo
from tests.cli.shop import Shop, assert_nothing_left, sha256
from tests.procs import Code, Spawned, lock_is_free, wait_until
from tests.servers import FaultyServer
from tests.servers.hub import Hub

DATA = make_gguf(32_000_000)
SHA256 = sha256(DATA)


@pytest.fixture
def shelf(tmp_path: Path, server: FaultyServer) -> Path:
    """The models folder of the server, with one model."""
    luci_dl.install(f"{server.serve('/m.gguf', DATA)}#sha256={SHA256}", folder=tmp_path / "shelf")
    return tmp_path / "shelf"


@pytest.fixture
def catalog(tmp_path: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Its size is known to the hosts: `m` is at `server`, which stands for the uplink."""
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

    def __init__(self, home: Path, port: int, *more: str, code: str = "") -> None:
        self.folder = home / "models"
        env = {"LUCI_HOME": str(home), "LUCI_LAN": f"http://127.0.0.1:{port}"}
        super().__init__("install", "m", "--swarm", "--json", *more, env=env, command=Code(code))

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

    def start(self, *more: str, code: str = "") -> Host:
        self._count += 1
        return self.enter_context(Host(self._folder / f"host{self._count}", self._port, *more, code=code))


def test_hosts_share_a_file_with_the_uplink_cut(
    server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts
) -> None:
    """Each has all of it, proved; nobody asked the address of the file."""
    asked = len(server.exchanges())
    with serving(port, shelf):
        for host in [hosts.start() for _ in range(3)]:
            host.assert_installed()
            assert [event["host"] for event in host.of("swarming")] == [f"127.0.0.1:{port}"]
            assert host.of("warned") == []
    assert len(server.exchanges()) == asked


class Sharer(threading.Thread):
    """A host that has all of the file, right or wrong, and announces itself until the end of the block."""

    def __init__(self, port: int, path: Path, missing: int = 0) -> None:
        super().__init__()
        self._port = port
        self._missing = missing
        self._over = threading.Event()
        self._metainfo = Metainfo.of(get(port, f"/luci/v1/torrents/{SHA256}")[1], len(DATA), BLOCK)
        self._file = path.open("rb")
        self._session = Session("127.0.0.1")
        self._session.fetch(self._metainfo, self._file.fileno(), [], "")
        self.others = 0
        self.announced = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.3):
            with suppress(OSError):
                path = f"/luci/v1/announce/{SHA256}?port={self._session.port}&missing={self._missing}"
                self.others = max(self.others, len(json.loads(get(self._port, path)[1])["hosts"]))
                self.announced.set()

    def __enter__(self) -> Sharer:
        self.start()
        assert self.announced.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self._session.close()
        self._file.close()


def test_the_hosts_go_on_without_the_server(
    server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts
) -> None:
    """What one of them has, all get; the uplink stays idle."""
    asked = len(server.exchanges())
    with serving(port, shelf) as first, Sharer(port, shelf / "m.gguf"):
        host = hosts.start("--limit-rate", "8M")
        wait_until(lambda: host.done > 4_000_000)
        first.signal(signal.SIGKILL)
        first.wait()
        host.assert_installed()
        assert host.of("warned") == []
    assert len(server.exchanges()) == asked


def test_a_swarm_that_dies_out_is_left(
    server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts
) -> None:
    """The rest comes from the address of the file, and nothing twice."""
    code = "import luci_dl.install.swarm, sys; sys.modules['luci_dl.install.swarm'].SILENCE_S = 1.0"
    with serving(port, shelf) as first:
        host = hosts.start("--limit-rate", "16M", code=code)
        wait_until(lambda: host.done > 8_000_000)
        first.signal(signal.SIGKILL)
        first.wait()
        host.assert_installed()
    (warned,) = host.of("warned")
    assert "other hosts have sent nothing for 1 s" in warned["message"]
    (installed,) = host.of("installed")
    assert installed["fetched"] == len(DATA)


def test_a_host_that_lies_does_no_harm(
    tmp_path: Path, server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts
) -> None:
    """Its pieces are refused one by one, and others come in their place."""
    asked = len(server.exchanges())
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"x" * len(DATA))
    with serving(port, shelf), Sharer(port, wrong) as liar:
        for host in [hosts.start("--limit-rate", "16M") for _ in range(2)]:
            host.assert_installed()
    assert liar.others == 2
    assert len(server.exchanges()) == asked


def test_a_killed_host_stops_nobody_and_resumes(
    server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts, tmp_path: Path
) -> None:
    """What it had is in its journal."""
    asked = len(server.exchanges())
    with serving(port, shelf):
        killed, other = hosts.start("--limit-rate", "6M"), hosts.start("--limit-rate", "12M")
        wait_until(lambda: killed.done > 8_000_000 and other.done > 4_000_000)
        killed.signal(signal.SIGKILL)
        killed.wait()
        other.assert_installed()
        assert lock_is_free(killed.folder / ".luci" / "m.gguf.lock")
        assert not (killed.folder / "m.gguf").exists()
        again = Host(tmp_path / "host1", port)
        with again:
            again.assert_installed()
        assert again.of("started")[0]["offset"] > 1_000_000
    assert len(server.exchanges()) == asked


def test_an_interrupted_host_leaves_nothing(port: int, shelf: Path, catalog: Shop, hosts: Hosts) -> None:
    """At once, though libtorrent writes into the part."""
    with serving(port, shelf):
        host = hosts.start("--limit-rate", "4M")
        wait_until(lambda: host.done > 2_000_000)
        began = time.monotonic()
        host.signal(signal.SIGINT)
        assert host.wait() == -signal.SIGINT
        assert time.monotonic() - began < 2
        assert [event["name"] for event in host.of("deleted")] == ["m.gguf"]
        assert_nothing_left(host.folder)


def test_a_kept_part_is_resumed(port: int, shelf: Path, catalog: Shop, hosts: Hosts, tmp_path: Path) -> None:
    """All that the swarm brought, wherever it is in the file."""
    with serving(port, shelf):
        host = hosts.start("--limit-rate", "4M", "--keep-partial")
        wait_until(lambda: host.done > 3_000_000)
        host.signal(signal.SIGINT)
        assert host.wait() == -signal.SIGINT
        (kept,) = host.of("kept")
        assert kept["done"] >= 3_000_000 - BLOCK
        with Host(tmp_path / "host1", port) as again:
            again.assert_installed()
        assert again.of("swarming")
        assert again.of("warned") == []
        assert again.of("started")[0]["offset"] >= kept["done"] - BLOCK
        assert again.of("installed")[0]["fetched"] <= len(DATA) - kept["done"] + 2 * BLOCK


def test_what_is_installed_is_sent_while_others_need_it(port: int, shelf: Path, catalog: Shop, hosts: Hosts) -> None:
    """The command ends when nobody does any more."""
    with serving(port, shelf):
        with Sharer(port, shelf / "m.gguf", missing=5):
            host = hosts.start()
            host.wait_for('"sharing"')
            assert (host.folder / "m.gguf").read_bytes() == DATA
            assert host.process.poll() is None
        host.assert_installed()
    assert host.of("sharing") == [{"event": "sharing", "names": ["m.gguf"], "hosts": 1, "seconds": 60.0}]


def test_ctrl_c_ends_the_sending_at_once(port: int, shelf: Path, catalog: Shop, hosts: Hosts) -> None:
    """The model stays installed."""
    with serving(port, shelf), Sharer(port, shelf / "m.gguf", missing=5):
        host = hosts.start()
        host.wait_for('"sharing"')
        host.signal(signal.SIGINT)
        assert host.wait(5) == -signal.SIGINT
        assert (host.folder / "m.gguf").read_bytes() == DATA
        assert_nothing_left(host.folder, "m.gguf")


def test_without_libtorrent_the_file_comes_from_the_server(
    server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts
) -> None:
    """And the user reads how to get it."""
    asked = len(server.exchanges())
    with serving(port, shelf):
        host = hosts.start(code="import sys; sys.modules['libtorrent'] = None")
        host.assert_installed()
    (warned,) = host.of("warned")
    assert "pip install 'luci-dl[swarm]'" in warned["message"]
    assert len(server.exchanges()) == asked


def test_a_server_without_swarm_is_a_star(
    server: FaultyServer, port: int, shelf: Path, catalog: Shop, hosts: Hosts
) -> None:
    """It says nothing about pieces, and sends the file."""
    env = {"LUCI_HOME": str(shelf.parent / "server")}
    with Spawned("serve", "--bind", f"127.0.0.1:{port}", "--dir", shelf, env=env) as run:
        run.wait_for("Serving")
        host = hosts.start()
        host.assert_installed()
    assert host.of("swarming") == host.of("warned") == []


def test_only_public_files_of_some_size_are_shared(
    tmp_path: Path, server: FaultyServer, port: int, shelf: Path
) -> None:
    """Nobody asks hosts who may have a file; a small one pays for no swarm."""
    small, private = make_gguf(300_000), make_gguf(20_000_000, seed=3)
    luci_dl.install(f"{server.serve('/s.gguf', small)}#sha256={sha256(small)}", folder=shelf)
    url = f"{server.serve('/p.gguf', private)}?token=x#sha256={sha256(private)}"
    luci_dl.install(url, folder=shelf)
    with serving(port, shelf):
        for data in (small, private, b"nothing"):
            for path in (f"/luci/v1/torrents/{sha256(data)}", f"/luci/v1/announce/{sha256(data)}?port=5&missing=0"):
                assert get(port, path)[0] == 404
        for query in ("", "?port=0&missing=0", f"?port=5&missing={len(DATA) + 1}", "?port=²&missing=0"):
            assert get(port, f"/luci/v1/announce/{SHA256}{query.replace('²', '%C2%B2')}")[0] == 400


def test_hosts_that_fetch_while_the_server_does_go_on_together(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cold: the Hub sends one copy, the server passes it on as it comes, and from its end on hosts share the rest."""
    code = "import importlib\nfound = importlib.import_module('luci_dl.install.swarm')\n"
    code += "found.AGAIN_S, found.SMALLEST = 0.3, 1 << 20"
    with Hub() as hub, ExitStack() as stack:
        hub.add("me/m", {"m.gguf": DATA})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        env = {"LUCI_HOME": str(tmp_path / "server")}
        serve = ("serve", "--swarm", "--limit-rate", "32M", "--bind", f"127.0.0.1:{port}")
        stack.enter_context(Spawned(*serve, env=env)).wait_for("Serving")
        lan = {"LUCI_LAN": f"http://127.0.0.1:{port}"}
        install = ("install", "hf:me/m/m.gguf", "--swarm", "--json", "--limit-rate", "8M")
        runs = [
            stack.enter_context(
                Spawned(*install, env=lan | {"LUCI_HOME": str(tmp_path / f"{each}")}, command=Code(code))
            )
            for each in range(2)
        ]
        for number, run in enumerate(runs):
            assert run.wait() == 0, run.out + run.err
            assert (tmp_path / f"{number}/models/me/m/m.gguf").read_bytes() == DATA
            assert_nothing_left(tmp_path / f"{number}/models", "me/", "me/m/", "me/m/m.gguf")
            kinds = [json.loads(line)["event"] for line in run.out.splitlines() if line.startswith("{")]
            assert [kind for kind in kinds if kind in ("serving", "swarming", "warned")] == ["serving", "swarming"]
