"""The socket below a response: prompt reads, true waits, an end from any thread."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trustme
from urllib3.util.ssltransport import SSLTransport

from luci_dl.net import wire as wires
from luci_dl.net.wire import Wire
from tests.procs import wait_until

BODY = bytes(range(256)) * 256
SHORT_S, LONG_S = 0.1, 30.0
SLACK_S = 0.5
"""By which a look may be late on a busy machine."""

Connect = Callable[[], tuple[Wire, Any]]


class ServerTransport(SSLTransport):
    """The other end of urllib3's class for TLS inside of TLS."""

    def __init__(self, sock: Any, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing, self.socket = ssl.MemoryBIO(), ssl.MemoryBIO(), sock
        self.sslobj = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self._ssl_io_loop(self.sslobj.do_handshake)


@pytest.fixture(params=["plain", "tls", "tls in tls"])
def connect(request: pytest.FixtureRequest, ca: trustme.CA) -> Iterator[Connect]:
    """Connects a `Wire` with a peer: plain, with TLS, and with TLS through an https proxy."""
    with contextlib.ExitStack() as stack:

        def connected() -> tuple[Wire, Any]:
            ours: Any
            theirs: Any
            ours, theirs = map(stack.enter_context, socket.socketpair())
            if request.param != "plain":
                ours, theirs = map(stack.enter_context, secured(ours, theirs, ca, nested=False))
            if request.param == "tls in tls":
                ours, theirs = map(stack.enter_context, secured(ours, theirs, ca, nested=True))
            ours.settimeout(LONG_S)
            return stack.enter_context(Wire(ours.makefile("rb").detach(), ours)), theirs

        yield connected


def secured(ours: Any, theirs: Any, ca: trustme.CA, nested: bool) -> tuple[Any, Any]:
    """Both ends with TLS."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.issue_cert("localhost").configure_cert(server)
    ca.configure_trust(client)
    other: Any
    with ThreadPoolExecutor(1) as pool:
        if nested:
            other = pool.submit(ServerTransport, theirs, server)
            return SSLTransport(ours, client, "localhost"), other.result()
        other = pool.submit(server.wrap_socket, theirs, server_side=True)
        return client.wrap_socket(ours, server_hostname="localhost"), other.result()


def read(wire: Wire, seconds: float = 0.0) -> bytes:
    memory = memoryview(bytearray(2 * len(BODY)))
    return bytes(memory[: wire.fill(memory, 0, seconds)])


def test_only_time_without_a_byte_counts_as_waited(connect: Connect) -> None:
    """Not the time between two reads."""
    wire, peer = connect()
    peer.sendall(BODY)
    time.sleep(SHORT_S)
    assert read(wire) == BODY
    assert wire.waited == 0
    timer = threading.Timer(SHORT_S, peer.sendall, [BODY])
    timer.start()
    assert read(wire)
    assert SHORT_S / 2 < wire.waited < LONG_S
    timer.join()


def test_a_wait_counts_while_it_lasts(connect: Connect) -> None:
    """A connection that brings nothing is known as waiting before it brings something."""
    wire, peer = connect()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, wire)
        first = wait_until(lambda: wire.waited)
        time.sleep(SHORT_S)
        assert first < wire.waited - SHORT_S / 2
        peer.sendall(BODY)
        assert reading.result()
    ended = wire.waited
    time.sleep(SHORT_S)
    assert wire.waited == ended


def test_time_in_which_luci_was_suspended_is_no_wait(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+Z in the middle of a read, for a minute by the clock: no more than one look counts."""
    wire, peer = connect()
    real, suspended_s = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + suspended_s[0])
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, wire)
        time.sleep(SHORT_S)
        suspended_s[0] = 60.0
        assert wire.waited < wires.LOOK_S + SLACK_S
        peer.sendall(BODY)
        assert reading.result()
    assert wire.waited < wires.LOOK_S + SLACK_S


def test_a_long_wait_is_made_of_short_ones(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them count, and their number changes neither what comes nor when it is too late."""
    monkeypatch.setattr(wires, "LOOK_S", SHORT_S / 7)
    wire, peer = connect()
    timer = threading.Timer(SHORT_S, peer.sendall, [BODY[:1000]])  # a single record of TLS: a read may get no more
    timer.start()
    assert read(wire) == BODY[:1000]
    assert SHORT_S / 2 < wire.waited < LONG_S  # the timer ran a little before the wait began
    timer.join()
    wire.timeout = SHORT_S
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        read(wire)
    assert time.monotonic() - began >= SHORT_S


def test_what_comes_soon_is_one_block(connect: Connect) -> None:
    """The read ends when the time is over, although its memory is not full."""
    wire, peer = connect()
    peer.sendall(BODY[:1000])
    timer = threading.Timer(SHORT_S, peer.sendall, [BODY[1000:2000]])
    timer.start()
    assert read(wire, 3 * SHORT_S) == BODY[:2000]
    timer.join()


def test_the_first_byte_is_waited_for_no_longer_than_the_timeout(connect: Connect) -> None:
    """Then the read fails."""
    wire, _peer = connect()
    wire.timeout = SHORT_S
    with pytest.raises(TimeoutError):
        read(wire)


def test_bytes_come_before_the_error_that_followed_them(connect: Connect) -> None:
    """A lost connection does not cost what had arrived."""
    wire, peer = connect()
    peer.sendall(BODY[:1000])
    wire.timeout = SHORT_S
    assert read(wire) == BODY[:1000]
    for _ in range(2):
        with pytest.raises(TimeoutError):
            read(wire)


def test_after_the_end_from_another_thread_no_byte_is_another(connect: Connect) -> None:
    """What had arrived is still read, decrypted; then the stream ends."""
    wire, peer = connect()
    peer.sendall(BODY)
    wire.shut()
    assert b"".join(iter(lambda: read(wire), b"")) == BODY


def test_bytes_gather_before_a_read_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of twenty packets does not wake it, but the end of what fits does."""
    waits = 0
    wait = Wire._wait

    def counted(*given: Any) -> bool:
        nonlocal waits
        waits += 1
        return wait(*given)

    monkeypatch.setattr(wires, "GATHER_S", LONG_S)
    monkeypatch.setattr(Wire, "_wait", counted)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        peer, _ = server.accept()
        with peer, Wire(ours.makefile("rb").detach(), ours) as wire, ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read, wire, LONG_S)
            for start in range(0, 20_000, 1000):
                peer.sendall(BODY[start : start + 1000])
                time.sleep(SHORT_S / 20)
            peer.sendall(BODY[20_000:] + BODY)
            assert reading.result() == BODY + BODY
            assert waits < 10
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1


def test_a_closed_stream_leaves_the_socket_as_it_was(connect: Connect) -> None:
    """A proxy's answer to CONNECT is read like this, and TLS follows on the same socket."""
    wire, _peer = connect()
    sock = wire._sock
    assert sock.gettimeout() == 0
    wire.close()
    assert sock.gettimeout() == LONG_S
