"""Hosts with several addresses, some of them dead; and addresses of IPv6."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from luci_dl.net import dial as dialling
from luci_dl.net.dial import dial
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, body
from tests.net.daemons import microsocks, tinyproxy
from tests.net.proxies import proxy

Address = tuple[str, int]
LONG_S = 600.0
"""More than a test may take: whoever waits for that fails."""


@contextmanager
def swallower() -> Iterator[Address]:
    """An address where connections neither stand nor fail: its queue is full."""
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
    """Makes every name have these addresses."""

    def name(*addresses: Address) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_all, **_more: found)

    monkeypatch.setattr(dialling, "HEAD_START_S", 0.01)
    return name


def test_a_silent_address_does_not_hold_up_the_next(resolves_to: Callable[..., None]) -> None:
    """It has its head start, no more."""
    with swallower() as dead, listener() as alive:
        resolves_to(dead, alive)
        with dial("host", 80, LONG_S) as connection:
            assert connection.getpeername() == alive
            assert connection.gettimeout() == LONG_S


def test_an_address_that_refuses_gives_way_at_once(
    resolves_to: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its head start is over."""
    monkeypatch.setattr(dialling, "HEAD_START_S", LONG_S)
    with listener() as alive:
        resolves_to(("127.0.0.1", 1), alive)
        with dial("host", 80, LONG_S) as connection:
            assert connection.getpeername() == alive


def test_the_time_is_that_of_all_addresses(resolves_to: Callable[..., None]) -> None:
    """A host of many dead ones costs no more."""
    with swallower() as dead:
        resolves_to(*[dead] * 50)
        with pytest.raises(TimeoutError):
            dial("host", 80, 0.1)


def test_all_that_refuse_are_one_error(resolves_to: Callable[..., None]) -> None:
    """In the system's words."""
    resolves_to(("127.0.0.1", 1), ("127.0.0.1", 1))
    with pytest.raises(ConnectionRefusedError, match="Connection refused"):
        dial("host", 80, LONG_S)


def test_an_address_of_a_family_that_the_system_lacks_is_passed_over(
    resolves_to: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel without IPv6 does not make its sockets."""
    with listener() as alive:
        resolves_to(alive)
        (good,) = socket.getaddrinfo("host", 80)
        none = (9999, socket.SOCK_STREAM, 6, "", ("::1", 80))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_all, **_more: [none, good])
        with dial("host", 80, LONG_S) as connection:
            assert connection.getpeername() == alive


def test_families_take_turns() -> None:
    """All of one may be dead."""
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
    """A server on the loopback of IPv6."""
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


def test_an_address_of_ipv6_is_asked(six: _Server) -> None:
    """In brackets, also in the Host header."""
    assert body(f"http://[::1]:{six.server_port}/m.gguf") == DATA
    assert six.hosts == [f"[::1]:{six.server_port}"]


def test_an_address_of_ipv6_is_named() -> None:
    """As it was written."""
    with pytest.raises(AttemptFailed, match=r"cannot connect to \[::1\]:1: "):
        body("http://[::1]:1/m.gguf")


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_an_address_of_ipv6_through_a_proxy(six: _Server, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of either sort."""
    with (tinyproxy if scheme == "http" else microsocks)() as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
        assert body(f"http://[::1]:{six.server_port}/m.gguf") == DATA


def test_a_tunnel_to_an_address_of_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host and port are told apart by the brackets."""
    with proxy(status=503) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.address())
        with pytest.raises(AttemptFailed, match=r"cannot connect to \[::1\]:8443: 503"):
            body("https://[::1]:8443/m.gguf")
        assert between.asked == [("CONNECT", "[::1]:8443", None)]
        assert between.headers[0]["host"] == "[::1]:8443"
