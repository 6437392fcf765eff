"""One request with real sockets: what is refused, and when the connection is reused."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.errors import IntegrityError, LuciError, NetworkError, ResolveError
from luci_dl.net.client import Client
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.situation import Situation
from tests.net.asking import DATA, asked, block, body, whole
from tests.net.proxies import proxy
from tests.servers import FaultyServer, faults


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (faults.garbage(), NetworkError, "does not speak HTTP"),
        (faults.garbage(b"HTTP/2.0 200 OK\r\n\r\n"), NetworkError, "does not speak HTTP"),
        (faults.garbage(b"HTTP/1.1 99 OK\r\n\r\n"), NetworkError, "does not speak HTTP"),
        (faults.garbage(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), NetworkError, "its head is too long"),
        (faults.garbage(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000 + b"\r\n"), NetworkError, "its head is too long"),
        (faults.headers(**{f"X{n}": "x" for n in range(200)}), NetworkError, "does not speak HTTP"),
        (faults.headers(Content_Length="1, 2"), NetworkError, "Content-Length is both 1 and 2"),
        (faults.huge_headers(), NetworkError, "its head is too long"),
        (faults.garbage(b""), AttemptFailed, "was lost"),
        (faults.garbage(b"HTTP/1.1 2"), AttemptFailed, "was lost"),
        (faults.garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 10"), AttemptFailed, "was lost"),
        (faults.garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"), AttemptFailed, "was lost"),
        (faults.garbage(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), AttemptFailed, "was lost"),
        (
            faults.garbage(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGGUF\r\n"),
            AttemptFailed,
            "was lost",
        ),
        (faults.gzipped(), NetworkError, "gzip-encoded"),
        (faults.no_ranges() + faults.close_delimited(), IntegrityError, "how long the file is"),
        (faults.status(404), ResolveError, "no such file"),
    ],
)
def test_an_invalid_response_is_an_error_of_ours(
    server: FaultyServer, fault: faults.Fault, error: type[Exception], said: str
) -> None:
    """Garbage is not retried, a lost connection is."""
    with pytest.raises(error, match=said):
        body(server.serve("/m.gguf", DATA, faults=[fault]))


def test_interim_responses_are_skipped(server: FaultyServer) -> None:
    """100 and any other 1xx come before the final response."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    raw = interim + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nGGUF"
    assert body(server.serve("/m.gguf", faults=[faults.garbage(raw)])) == b"GGUF"


def test_http_1_0_is_accepted(server: FaultyServer) -> None:
    """The body ends with the connection, so its end is uncertain."""
    url = server.serve("/m.gguf", faults=[faults.garbage(b"HTTP/1.0 200 OK\r\n\r\nGGUF")])
    with asked(url, situation=Situation("m.gguf", provable=True)) as response:
        assert (response.info.delimited, block(response), block(response)) == (False, b"GGUF", b"")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/m.gguf", "http://luci-dl.invalid/m.gguf"])
def test_a_failed_connection_is_retried(url: str) -> None:
    """The message is the system's, or says that the name cannot be resolved."""
    with pytest.raises(AttemptFailed, match=r"Connection refused|cannot resolve the name"):
        body(url)


def test_a_missing_response_is_retried(server: FaultyServer) -> None:
    """After the read timeout."""
    with pytest.raises(AttemptFailed, match="did not respond in time"):
        body(server.serve("/m.gguf", DATA, faults=[faults.stall_head()]), Client(read_s=0.1))


def test_plain_http_on_a_tls_port_is_retried() -> None:
    """The network may interfere."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_plainly, args=(listener,), daemon=True).start()
        with pytest.raises(AttemptFailed, match=r"speak TLS|was lost"):
            body(f"https://127.0.0.1:{listener.getsockname()[1]}/m.gguf")


def _answer_plainly(listener: socket.socket) -> None:
    """Respond once to whatever comes: a TLS handshake need not contain a line end."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def test_no_corrupted_head_breaks_anything(server: FaultyServer) -> None:
    """A head with one flipped byte gives a response, or an error of ours."""
    head = b'HTTP/1.1 206 OK\r\nContent-Range: bytes 0-3/4\r\nETag: "a"\r\nContent-Length: 4\r\n\r\nGGUF'
    flips = [faults.garbage(head[:at] + bytes([head[at] ^ 0x81]) + head[at + 1 :]) for at in range(len(head))]
    url = server.serve("/m.gguf", faults=flips)
    for _ in flips:
        with contextlib.suppress(AttemptFailed, LuciError):
            assert len(body(url)) <= 4


@pytest.mark.parametrize("value", ["Bearer secret\r\nX: y", "Bearer secret\u20ac"])
def test_a_header_that_cannot_be_sent_is_an_error_of_ours(server: FaultyServer, value: str) -> None:
    """The message does not show its value."""
    request = RangeRequest(server.serve("/m.gguf", DATA), 0, None, None)
    with pytest.raises(NetworkError, match="cannot be requested") as caught:
        Client().get(request, Situation("m.gguf"), {"Authorization": value})
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("secure", [False, True])
def test_abort_wakes_a_blocked_read_at_once(
    server: FaultyServer, tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """From another thread, with and without TLS; the connection is not reused."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    chosen, client = tls_server if secure else server, Client()
    url = chosen.serve("/m.gguf", DATA, faults=[faults.stall(1000), faults.ok()])
    freed: list[float] = []
    with asked(url, client) as response:
        assert block(response) == DATA[:1000]

        def abort() -> None:
            freed.append(time.monotonic())
            response.abort()

        timer = threading.Timer(0.1, abort)
        timer.start()
        with contextlib.suppress(AttemptFailed):
            block(response)
        assert time.monotonic() - freed[0] < 5
        timer.join()
    assert body(url, client) == DATA


def test_a_complete_body_leaves_its_connection_to_the_next_request(server: FaultyServer) -> None:
    """One connection serves all requests."""
    client, url = Client(), server.serve("/m.gguf", DATA)
    for _ in range(3):
        assert body(url, client) == DATA
    assert server.connections == 1


@pytest.mark.parametrize(
    "fault", [faults.status(404, body=b"x" * 9999), faults.no_ranges() + faults.announce(-9), faults.cut(9)]
)
def test_the_rest_of_one_response_never_begins_the_next(server: FaultyServer, fault: faults.Fault) -> None:
    """After an error with a body, a body that is too long, or a lost connection, the next response is right."""
    client, url = Client(), server.serve("/m.gguf", DATA, faults=[fault, faults.ok()])
    with contextlib.suppress(ResolveError, AttemptFailed):
        body(url, client)
    assert body(url, client) == DATA


def test_a_connection_with_a_broken_chunk_is_not_reused(server: FaultyServer) -> None:
    """After an invalid chunk it is unknown where the next response begins."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGGUF\r\nzz\r\n"
    broken = faults.Fault(on_answer=lambda answer: replace(answer, raw=raw))
    client, url = Client(), server.serve("/m.gguf", DATA, faults=[broken, faults.ok()])
    with pytest.raises(AttemptFailed):
        body(url, client)
    assert body(url, client) == DATA
    assert server.connections == 2


@pytest.mark.parametrize("secure", [False, True])
def test_received_bytes_are_returned_although_nothing_follows(
    server: FaultyServer, tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """No byte waits for more, however fast the line was."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    data = DATA * 150  # fast for long enough to matter
    url = (tls_server if secure else server).serve("/m.gguf", data, faults=[faults.stall(len(data) - 1)])
    with asked(url, Client(read_s=600)) as response:
        came = b""
        while len(came) < len(data) - 1:
            came += block(response, 4 << 20)
        assert came == data[:-1]


def test_on_a_slow_line_blocks_are_not_filled(server: FaultyServer) -> None:
    """A block is what arrives within a moment, not only what fills the memory."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(1e6)])
    with asked(url) as response:
        assert len(list(iter(lambda: block(response), b""))) > 2


def test_ipv6_is_supported() -> None:
    """An address in brackets works like any other."""
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nGGUF")

        thread = threading.Thread(target=serve)
        thread.start()
        assert body(f"http://[::1]:{listener.getsockname()[1]}/m.gguf") == b"GGUF"
        thread.join()


def test_a_response_knows_the_round_trip_of_its_connection(server: FaultyServer) -> None:
    """A connection that is used again knows it from the first time."""
    client, url = Client(), server.serve("/m.gguf", DATA)
    with asked(url, client) as first:
        assert first.round_trip is not None
        assert 0 < first.round_trip < 1
        whole(first)
    with asked(url, client) as second:
        assert second.round_trip == first.round_trip
    with proxy() as forwarding, pytest.MonkeyPatch.context() as patch:
        patch.setenv("http_proxy", forwarding.address())
        with asked(url, client) as third:
            assert third.round_trip is None
