"""Hosts with several addresses, some of them unreachable; and IPv6 addresses."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from luci_dl.net import dial as dialling
from luci_dl.net.dial import dial
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, body
from tests.net.daemons import microsocks, tinyproxy
from tests.net.proxies import proxy

Address = tuple[str, int]
LONG_S = 600.0
"""More than a test may take: waiting for this long fails the test."""


@contextmanager
def swallower() -> Iterator[Address]:
    """An address where connections neither succeed nor fail: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            yield listener.getsockname()
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def listener() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as open_door:
        yield open_door.getsockname()


@pytest.fixture
def resolves_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes every name resolve to these addresses."""

    def name(*addresses: Address) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_all, **_more: found)

    monkeypatch.setattr(dialling, "HEAD_START_S", 0.01)
    return name


@pytest.mark.parametrize("host", ["example.com", "[::1]", "b\u00fccher.example", "a..b", "a" * 64 + ".example"])
def test_a_name_is_looked_up_as_python_would(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are passed on as they are, so only plain names may become bytes."""
    look_up = mock.Mock(return_value=[])
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(OSError, match="no address"):
        dial(host, 80, 1)
    name = host.strip("[]")
    assert look_up.call_args.args[0] == (name.encode() if host in ("example.com", "[::1]") else name)


def test_an_address_that_does_not_respond_does_not_delay_the_next(resolves_to: Callable[..., None]) -> None:
    """The next one is tried after the head start."""
    with swallower() as dead, listener() as alive:
        resolves_to(dead, alive)
        with dial("host", 80, LONG_S)[0] as connection:
            assert connection.getpeername() == alive
            assert connection.gettimeout() == LONG_S


def test_after_a_refusal_the_next_address_is_tried_at_once(
    resolves_to: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the head start is over."""
    monkeypatch.setattr(dialling, "HEAD_START_S", LONG_S)
    with listener() as alive:
        resolves_to(("127.0.0.1", 1), alive)
        with dial("host", 80, LONG_S)[0] as connection:
            assert connection.getpeername() == alive


def test_the_timeout_is_for_all_addresses_together(resolves_to: Callable[..., None]) -> None:
    """Many unreachable addresses take no longer than one."""
    with swallower() as dead:
        resolves_to(*[dead] * 50)
        with pytest.raises(TimeoutError):
            dial("host", 80, 0.1)


def test_when_all_addresses_refuse_there_is_one_error(resolves_to: Callable[..., None]) -> None:
    """With the system's message."""
    resolves_to(("127.0.0.1", 1), ("127.0.0.1", 1))
    with pytest.raises(ConnectionRefusedError, match="Connection refused"):
        dial("host", 80, LONG_S)


def test_an_unsupported_address_family_is_skipped(
    resolves_to: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel without IPv6 refuses such sockets."""
    with listener() as alive:
        resolves_to(alive)
        (good,) = socket.getaddrinfo("host", 80)
        none = (9999, socket.SOCK_STREAM, 6, "", ("::1", 80))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_all, **_more: [none, good])
        with dial("host", 80, LONG_S)[0] as connection:
            assert connection.getpeername() == alive


def test_address_families_alternate() -> None:
    """All addresses of one family may be unreachable."""
    v6, v4 = socket.AF_INET6, socket.AF_INET
    found = [(v6, 1), (v6, 2), (v6, 3), (v4, 4), (v4, 5)]
    assert dialling._alternating(found) == [(v6, 1), (v4, 4), (v6, 2), (v4, 5), (v6, 3)]


# --- IPv6


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)

    def log_message(self, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("::1", 0), _Handler)
        self.hosts: list[str] = []


@pytest.fixture
def six() -> Iterator[_Server]:
    """A server on the IPv6 loopback."""
    try:
        server = _Server()
    except OSError:
        pytest.skip("this machine has no IPv6")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="six")
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_ipv6_address_is_requested(six: _Server) -> None:
    """It is in brackets, also in the Host header."""
    assert body(f"http://[::1]:{six.server_port}/m.gguf") == DATA
    assert six.hosts == [f"[::1]:{six.server_port}"]


def test_an_address_of_ipv6_is_named() -> None:
    """As it was written."""
    with pytest.raises(AttemptFailed, match=r"cannot connect to \[::1\]:1: "):
        body("http://[::1]:1/m.gguf")


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_an_ipv6_address_through_a_proxy(six: _Server, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through an HTTP proxy and a SOCKS proxy."""
    with (tinyproxy if scheme == "http" else microsocks)() as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
        assert body(f"http://[::1]:{six.server_port}/m.gguf") == DATA


def test_a_tunnel_to_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets separate the host from the port."""
    with proxy(status=503) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.address())
        with pytest.raises(AttemptFailed, match=r"cannot connect to \[::1\]:8443: 503"):
            body("https://[::1]:8443/m.gguf")
        assert between.asked == [("CONNECT", "[::1]:8443", None)]
        assert between.headers[0]["host"] == "[::1]:8443"
