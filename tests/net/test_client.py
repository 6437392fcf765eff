"""One request with real sockets: what is refused, and what becomes of the connection."""

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
from tests.net.asking import DATA, asked, block, body
from tests.servers import FaultyServer, faults


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (faults.garbage(), NetworkError, "does not speak HTTP"),
        (faults.garbage(b"HTTP/2.0 200 OK\r\n\r\n"), NetworkError, "does not speak HTTP"),
        (faults.garbage(b"HTTP/1.1 99 OK\r\n\r\n"), NetworkError, "does not speak HTTP"),
        (faults.garbage(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), NetworkError, "does not speak HTTP"),
        (faults.garbage(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"), NetworkError, "does not speak HTTP"),
        (faults.huge_headers(), NetworkError, "does not speak HTTP"),
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
        (faults.login_page(), IntegrityError, "web page"),
        (faults.status(404), ResolveError, "no such file"),
    ],
)
def test_what_is_no_answer_is_one_error_of_ours(
    server: FaultyServer, fault: faults.Fault, error: type[Exception], said: str
) -> None:
    """Garbage is not asked for again, a cut is."""
    with pytest.raises(error, match=said):
        body(server.serve("/m.gguf", DATA, faults=[fault]))


def test_interim_answers_are_passed_over(server: FaultyServer) -> None:
    """100 and any other 1xx come before the answer that counts."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    raw = interim + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nGGUF"
    assert body(server.serve("/m.gguf", faults=[faults.garbage(raw)])) == b"GGUF"


def test_an_answer_of_http_1_0_is_one(server: FaultyServer) -> None:
    """It ends with its connection, and says that its end is not sure."""
    with asked(server.serve("/m.gguf", faults=[faults.garbage(b"HTTP/1.0 200 OK\r\n\r\nGGUF")])) as answer:
        assert (answer.info.delimited, block(answer), block(answer)) == (False, b"GGUF", b"")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/m.gguf", "http://luci-dl.invalid/m.gguf"])
def test_nobody_there_is_tried_again(url: str) -> None:
    """The words are the system's, or say that the name is unknown."""
    with pytest.raises(AttemptFailed, match=r"Connection refused|cannot resolve the name"):
        body(url)


def test_silence_is_tried_again(server: FaultyServer) -> None:
    """After the time that a read may take."""
    with pytest.raises(AttemptFailed, match="did not respond in time"):
        body(server.serve("/m.gguf", DATA, faults=[faults.stall_head()]), Client(read_s=0.1))


def test_plain_http_on_a_tls_port_is_tried_again() -> None:
    """It may be a network that interferes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_plainly, args=(listener,), daemon=True).start()
        with pytest.raises(AttemptFailed, match=r"speak TLS|was lost"):
            body(f"https://127.0.0.1:{listener.getsockname()[1]}/m.gguf")


def _answer_plainly(listener: socket.socket) -> None:
    """Once, whatever comes: the greeting of TLS need not hold the end of a line that a server of HTTP waits for."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def test_no_random_head_breaks_anything(server: FaultyServer) -> None:
    """Each head with one byte flipped gives an answer, or an error of ours."""
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
        Client().get("m.gguf", request, {"Authorization": value})
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("secure", [False, True])
def test_abort_frees_a_blocked_read_at_once(
    server: FaultyServer, tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """From another thread, plain and under TLS; the connection is not used again."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    chosen, client = tls_server if secure else server, Client()
    url = chosen.serve("/m.gguf", DATA, faults=[faults.stall(1000), faults.ok()])
    freed: list[float] = []
    with asked(url, client) as answer:
        assert block(answer) == DATA[:1000]

        def abort() -> None:
            freed.append(time.monotonic())
            answer.abort()

        timer = threading.Timer(0.1, abort)
        timer.start()
        with contextlib.suppress(AttemptFailed):
            block(answer)
        assert time.monotonic() - freed[0] < 0.5
        timer.join()
    assert body(url, client) == DATA


def test_a_body_read_to_its_end_leaves_its_connection_to_the_next(server: FaultyServer) -> None:
    """One connection serves all requests in turn."""
    client, url = Client(), server.serve("/m.gguf", DATA)
    for _ in range(3):
        assert body(url, client) == DATA
    assert server.connections == 1


@pytest.mark.parametrize("fault", [faults.status(404, body=b"x" * 9999), faults.announce(-9), faults.cut(9)])
def test_what_is_left_of_one_answer_never_begins_the_next(server: FaultyServer, fault: faults.Fault) -> None:
    """After an error with a body, more than was announced, or a cut, the next answer is a good one."""
    client, url = Client(), server.serve("/m.gguf", DATA, faults=[fault, faults.ok()])
    with contextlib.suppress(ResolveError, AttemptFailed):
        body(url, client)
    assert body(url, client) == DATA


def test_a_line_out_of_step_is_not_used_again(server: FaultyServer) -> None:
    """After a chunk that makes no sense nobody knows where the next answer would begin."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGGUF\r\nzz\r\n"
    broken = faults.Fault(on_answer=lambda answer: replace(answer, raw=raw))
    client, url = Client(), server.serve("/m.gguf", DATA, faults=[broken, faults.ok()])
    with pytest.raises(AttemptFailed):
        body(url, client)
    assert body(url, client) == DATA
    assert server.connections == 2


@pytest.mark.parametrize("secure", [False, True])
def test_what_came_is_handed_over_though_nothing_follows(
    server: FaultyServer, tls_server: FaultyServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """However fast it came: no byte waits in a block for those that stay away."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    data = DATA * 150  # fast for long enough to tell
    url = (tls_server if secure else server).serve("/m.gguf", data, faults=[faults.stall(len(data) - 1)])
    with asked(url, Client(read_s=600)) as answer:
        came = b""
        while len(came) < len(data) - 1:
            came += block(answer, 4 << 20)
        assert came == data[:-1]


def test_a_slow_line_fills_no_block(server: FaultyServer) -> None:
    """What comes in a moment is told, not only what fills the memory."""
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(1e6)])
    with asked(url) as answer:
        assert len(list(iter(lambda: block(answer), b""))) > 2


def test_ipv6_is_spoken() -> None:
    """An address in brackets is asked like any other."""
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
