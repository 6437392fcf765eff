"""Connections are reused from file to file, and none is left behind."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.errors import NetworkError
from luci_dl.model import Artifact
from luci_dl.net import connections, raw_response
from luci_dl.net.client import Client
from luci_dl.net.fetch import Fetch
from luci_dl.net.network import Network
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, asked, block, body, whole
from tests.net.sink import MemorySink
from tests.procs import wait_until
from tests.servers import FaultyServer, faults

FILES = 400
SMALL = DATA[:3000]
CONNECTIONS = 2


def open_sockets() -> int:
    """The sockets of this process."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        except OSError:  # the listing's own
            continue
    return count


def luci_threads(others: set[threading.Thread]) -> int:
    """How many there are, without those that an earlier test may have left."""
    return sum(thread.name.startswith("luci") for thread in set(threading.enumerate()) - others)


def fetch(network: Network, url: str, others: set[threading.Thread]) -> None:
    sink, most_threads = MemorySink(size=len(SMALL)), 0

    def check() -> None:
        nonlocal most_threads
        most_threads = max(most_threads, luci_threads(others))

    Fetch(
        network.client_for(url),
        Artifact("m.gguf", (url,)),
        sink,
        retries=0,
        token=CancelToken(),
        emit=lambda _event: None,
        report=lambda _progress: None,
        check=check,
        connections=CONNECTIONS,
    ).run()
    assert bytes(sink.data) == SMALL
    assert most_threads <= CONNECTIONS


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts sockets in /proc")
@pytest.mark.parametrize("framing", [faults.ok(), faults.chunked()])
def test_many_small_files_share_a_connection_and_leave_none_behind(server: FaultyServer, framing: faults.Fault) -> None:
    """Each host is connected to once, and the end of the network is the end of its sockets."""
    with FaultyServer() as origin:
        urls = [
            origin.serve(f"/{n}", faults=[faults.hub_redirect(server.serve(f"/{n}", SMALL, faults=[framing]), SMALL)])
            for n in range(FILES)
        ]
        before, others = open_sockets(), set(threading.enumerate())
        network = Network()
        for url in urls:
            fetch(network, url, others)
        assert (origin.connections, server.connections) == (1, 1)
        assert open_sockets() == before + 4  # both ends of each
        del network
        wait_until(lambda: luci_threads(others) == 0)
    server.close()
    assert open_sockets() <= before


@pytest.mark.parametrize(
    ("length", "connections"), [(0, 1), (1000, 1), (raw_response.MAX_SKIPPED_BYTES, 1), (1 << 20, 2)]
)
def test_the_body_of_a_redirect_is_skipped_if_it_is_short(server: FaultyServer, length: int, connections: int) -> None:
    """So the connection can be used again; a long body is not worth reading."""
    server.serve("/there", DATA)
    url = server.serve("/m.gguf", faults=[faults.status(302, body=bytes(length)) + faults.headers(Location="/there")])
    assert body(url) == DATA
    assert server.connections == connections


@pytest.mark.parametrize("fault", [faults.stall(10), faults.cut(10), faults.chunked() + faults.stall(10)])
def test_the_body_of_a_redirect_delays_nothing(server: FaultyServer, fault: faults.Fault) -> None:
    """One that stalls or breaks off costs its connection, not the request."""
    server.serve("/there", DATA)
    redirect = faults.status(302, body=bytes(1000)) + faults.headers(Location="/there")
    began = time.monotonic()
    assert body(server.serve("/m.gguf", faults=[redirect + fault]), Client(read_s=600)) == DATA
    assert time.monotonic() - began < raw_response.MAX_SKIP_S + 2
    assert server.connections == 2


def test_the_first_byte_is_waited_for_longer_than_the_others(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless one time is given for both."""
    monkeypatch.setattr(connections, "READ_S", 0.2)
    late, url = threading.Timer(0.6, server.release), server.serve("/m.gguf", DATA, faults=[faults.stall_head()])
    late.start()
    assert body(url) == DATA
    late.join()
    with FaultyServer() as other:
        stalling = other.serve("/m.gguf", DATA, faults=[faults.stall(10)])
        with asked(stalling) as response, pytest.raises(AttemptFailed, match="did not respond in time"):
            whole(response)
        for fault in (faults.stall_head(), faults.stall(10)):
            with pytest.raises(AttemptFailed, match="did not respond in time"):
                Client(read_s=0.1).document(other.serve("/api", DATA, faults=[fault]), {}, len(DATA))


@pytest.mark.parametrize(
    "tail", [b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"zz\r\n", b"5\r\nextra\r\n0\r\n\r\n", b"0\r\n"]
)
def test_a_connection_is_reused_only_at_the_end_of_a_chunked_body(server: FaultyServer, tail: bytes) -> None:
    """Whatever follows the bytes that the segment needs, the next response begins where it should."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGGUF\r\n" + tail
    odd = faults.Fault(on_answer=lambda answer: replace(answer, raw=raw))
    client, url = Client(), server.serve("/m.gguf", DATA, faults=[odd, faults.ok()])
    with asked(url, client) as response:
        assert block(response, 4) == b"GGUF"
    assert body(url, client) == DATA


@pytest.mark.parametrize("remains", [faults.garbage(), faults.hangs_up()])
def test_a_reused_connection_that_fails_is_replaced_at_once(server: FaultyServer, remains: faults.Fault) -> None:
    """It was closed meanwhile, or has remains of the last response; a fresh connection has neither."""
    client, url = Client(), server.serve("/m.gguf", SMALL, faults=[faults.ok(), remains, faults.ok(), remains])
    assert [body(url, client) for _ in range(2)] == [SMALL] * 2
    assert server.connections == 2
    with pytest.raises((AttemptFailed, NetworkError)):
        body(url, client)
