"""Heads of responses: read as browsers read them, or refused, and never waited for in vain."""

from __future__ import annotations

import io
from dataclasses import replace
from http.client import HTTPException, RemoteDisconnected

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.net.client import Client
from luci_dl.net.head import InvalidHead, read_head
from tests.net.asking import DATA, body
from tests.servers import FaultyServer, faults

OK = b"HTTP/1.1 200 OK\r\n"


def fields(head: bytes) -> list[bytes]:
    """The lines between the status line and the empty one."""
    status, *lines = read_head(io.BytesIO(head)).split(b"\r\n")
    assert (status, lines[-2:]) == (b"HTTP/1.1 200 OK", [b"", b""])
    return lines[:-2]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"A: b\r\nC:d\r\n", [b"A: b", b"C: d"]),
        (b"A: b\nC: d\n", [b"A: b", b"C: d"]),
        (b"no colon\r\nA: b\r\n", [b"A: b"]),
        (b": nothing\r\nA B: c\r\nA: b\r\n", [b"A: b"]),
        (b"A : b\r\n", [b"A: b"]),
        (b"A: b\r\n  c\r\n\td\r\n", [b"A: b c d"]),
        (b"  stray\r\nA: b\r\n", [b"A: b"]),
        (b"A: b\rC: d\0e\r\n", [b"A: b C: d e"]),
        (b"Location: /\xc3\xa4\r\n", [b"Location: /\xc3\xa4"]),
        (b"A: b\r\nA: b\r\nA: c\r\n", [b"A: b", b"A: c"]),
        (b"Content-Length: 5\r\ncontent-length: 5\r\n", [b"Content-Length: 5"]),
        (b"Content-Length: 5, 05\r\n", [b"Content-Length: 5"]),
        (b"Content-Length: 0\r\n", [b"Content-Length: 0"]),
        (b"Content-Length:\r\nContent-Length: -1\r\n", []),
        (b"Content-Length: 5\r\nTransfer-Encoding: Chunked \r\n", [b"Transfer-Encoding: chunked"]),
        (b"Transfer-Encoding: identity, chunked\r\nTransfer-Encoding: chunked\r\n", [b"Transfer-Encoding: chunked"]),
        (b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", [b"Content-Length: 5"]),
    ],
)
def test_fields_are_read_as_browsers_read_them(sent: bytes, read: list[bytes]) -> None:
    """What is no field is left out and hides none after it; a length or coding that is said twice counts once."""
    assert fields(OK + sent + b"\r\n") == read


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", InvalidHead),
        (OK + b"Content-Length: 0, 6\r\n\r\n", InvalidHead),
        (OK + b"Content-Length: five\r\n\r\n", InvalidHead),
        (OK + b"Content-Length: 1_0\r\n\r\n", InvalidHead),
        (OK + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n", InvalidHead),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", InvalidHead),
        (OK + b"Location: /a\r\nLocation: /b\r\n\r\n", InvalidHead),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", InvalidHead),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, InvalidHead),
        (b"\r\n" * 2000, InvalidHead),
        (OK + b"A: " + b"x" * (1 << 16) + b"\r\n\r\n", InvalidHead),
        (OK + b"A: b\r\n", RemoteDisconnected),
        (OK[:9], RemoteDisconnected),
        (b"", RemoteDisconnected),
    ],
)
def test_a_head_that_leaves_the_body_open_is_refused(head: bytes, error: type[Exception]) -> None:
    """Two lengths, unknown codings, too many lines; a cut one may be whole the next time."""
    with pytest.raises(error):
        read_head(io.BytesIO(head))


def test_interim_responses_and_empty_lines_before_the_head_are_skipped() -> None:
    """What is not HTTP is not waited for beyond its first line."""
    assert fields(b"\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: x\r\n\r\n" + OK + b"A: b\r\n\r\n") == [
        b"A: b"
    ]
    assert read_head(io.BytesIO(b"SSH-2.0-OpenSSH\r\n")) == b"SSH-2.0-OpenSSH"


@given(
    st.lists(st.sampled_from([b"A", b":", b" ", b"\r", b"\n", b"\0", b"5", b"Content-Length", b"\x85"]), max_size=30)
)
def test_any_head_is_read_or_refused(parts: list[bytes]) -> None:
    """Nothing else comes out than complete fields or an error."""
    try:
        read = fields(OK + b"".join(parts) + b"\r\n\r\n")
    except HTTPException:
        return
    assert all(b":" in line and not set(line) & {0, 10, 13} for line in read)


ODD_HEADS = {
    "no colon": b"nonsense\r\nContent-Length: 4\r\n\r\nGGUF",
    "blank before the colon": b"Content-Length : 4\r\n\r\nGGUF",
    "folded": b"Content-Length:\r\n 4\r\nX: y\r\n  z\r\n\r\nGGUF",
    "twice": b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nGGUF",
    "listed twice": b"Content-Length: 4, 4\r\n\r\nGGUF",
    "length and chunks": b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGGUF\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGGUF\r\n0\r\n\r\n",
    "line feeds": b"Content-Length: 4\n\nGGUF",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("rest", ODD_HEADS.values(), ids=ODD_HEADS)
@pytest.mark.parametrize("version", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"])
def test_odd_heads_leave_a_usable_connection(server: FaultyServer, version: bytes, rest: bytes) -> None:
    """The body has the length that was meant, is not waited for, and the next response begins behind it."""
    keeping = faults.Fault(on_answer=lambda answer: replace(answer, raw=version + rest))
    client, url = Client(), server.serve("/m.gguf", DATA, faults=[keeping, faults.ok()])
    assert body(url, client) == b"GGUF"
    assert body(url, client) == DATA
    assert server.connections == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_response_without_a_body_is_not_waited_for(server: FaultyServer, status: int) -> None:
    """Whatever length it announces; what follows all the same does not begin the next response."""
    url = server.serve("/api", DATA, faults=[faults.status(status, body=b"x") + faults.stall(0), faults.ok()])
    client = Client(read_s=600)
    assert client.document(url, {}, 1 << 20).body == b""
    assert client.document(url, {}, 1 << 20).body == DATA
