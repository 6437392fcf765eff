"""Small responses, read completely."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.errors import Interrupted, NetworkError
from luci_dl.events import Event, Retrying
from luci_dl.net import retry
from luci_dl.net.document import Document
from luci_dl.net.network import Network
from luci_dl.sources.context import ResolveContext
from tests.servers import FaultyServer, faults

SECRET = {"Authorization": "Bearer secret"}
LISTING = b'{"sha": "abc"}'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.01)


def document(url: str, at_most: int = 1000, **more: Any) -> Document:
    return ResolveContext(**{"retries": 3, **more}).document(url, SECRET, at_most=at_most)


def test_a_response_of_any_status_is_returned(server: FaultyServer) -> None:
    """The caller decides what it means; the names of its headers are in lower case."""
    url = server.serve("/api", LISTING, faults=[faults.status(404, body=b"{}"), faults.ok()])
    assert (document(url).status, document(url).json()) == (404, {"sha": "abc"})
    assert document(url).headers["content-length"] == str(len(LISTING))


def test_an_overloaded_server_is_retried(server: FaultyServer) -> None:
    """Each retry is reported."""
    events: list[Event] = []
    url = server.serve("/api", LISTING, faults=[faults.status(503), faults.garbage(b""), faults.ok()])
    assert document(url, emit=events.append).body == LISTING
    assert [type(event) for event in events] == [Retrying, Retrying]


def test_retries_of_an_overloaded_server_end(server: FaultyServer) -> None:
    """The message has the host and the status."""
    with pytest.raises(NetworkError, match="503"):
        document(server.serve("/api", LISTING, faults=[faults.status(503)]), retries=2)
    assert len(server.exchanges("/api")) == 3


def test_a_document_that_is_too_long_is_not_read(server: FaultyServer) -> None:
    """Even if it is endless."""
    for fault in (faults.ok(), faults.endless()):
        with pytest.raises(NetworkError, match="more than"):
            document(server.serve("/api", bytes(1001), faults=[fault]))
    assert len(document(server.serve("/api", bytes(1000))).body) == 1000


def test_headers_do_not_go_to_another_host(server: FaultyServer) -> None:
    """A redirect may lead to any host; the document has the final address."""
    with FaultyServer() as other:
        there = other.serve("/there", LISTING)
        found = document(server.serve("/api", b"", faults=[faults.redirect(there)]))
        assert (found.url, found.body) == (there, LISTING)
        assert [exchange.headers.get("authorization") for exchange in other.exchanges()] == [None]
    assert [exchange.headers.get("authorization") for exchange in server.exchanges()] == ["Bearer secret"]


def test_a_body_that_is_not_json_is_an_error(server: FaultyServer) -> None:
    """Neither is JSON that is nested too deeply. What else came is said."""
    for body in (b"GGUF", b"[" * 100_000 + b"]" * 100_000, b"{oops}", b"<?xml version='1.0'?><Portal/>"):
        with pytest.raises(NetworkError, match="not JSON"):
            document(server.serve("/api", body), at_most=1 << 20).json()
    with pytest.raises(NetworkError, match='not JSON, "Please pay first"') as caught:
        document(server.serve("/api", b"Please pay first", [faults.headers(Content_Type="text/plain")])).json()
    assert "requires a login" in caught.value.hint
    with pytest.raises(NetworkError, match=r"an empty body$"):
        document(server.serve("/api", b"")).json()


CODED = {
    "gzip": (gzip.compress(LISTING), "gzip"),
    "gzip in two parts": (gzip.compress(LISTING[:5]) + gzip.compress(LISTING[5:]), "gzip"),
    "gzip with something behind it": (gzip.compress(LISTING) + bytes(8), "gzip"),
    "gzip twice": (gzip.compress(gzip.compress(LISTING)), "gzip, gzip"),
    "gzip that is not named": (gzip.compress(LISTING), "identity"),
    "gzip by another name": (gzip.compress(LISTING), "br"),
    "deflate": (zlib.compress(LISTING), "deflate"),
    "deflate without a header": (zlib.compress(LISTING, wbits=-15), "deflate"),
    "plain although it says gzip": (LISTING, "gzip"),
    "no coding": (LISTING, "utf-8"),
}


@pytest.mark.parametrize(("sent", "coding"), CODED.values(), ids=CODED)
def test_a_coded_document_is_decoded(server: FaultyServer, sent: bytes, coding: str) -> None:
    """Some proxies compress although luci asks for plain bytes, and some name a coding that is none."""
    url = server.serve("/api", sent, faults=[faults.headers(Content_Encoding=coding)])
    assert document(url).json() == {"sha": "abc"}


def test_a_document_that_is_too_long_when_decoded_is_refused(server: FaultyServer) -> None:
    """The memory for it is never taken."""
    bomb = gzip.compress(bytes(1 << 24))
    with pytest.raises(NetworkError, match="more than"):
        document(server.serve("/api", bomb, faults=[faults.headers(Content_Encoding="gzip")]), at_most=len(bomb))


CUTS = {
    "length": faults.cut(5),
    "no byte": faults.cut(0),
    "chunks": faults.chunked() + faults.cut(5),
    "until the end of the connection": faults.close_delimited() + faults.cut(5),
    "no byte until the end of the connection": faults.close_delimited() + faults.cut(0),
}
PARTIAL = {
    "gzip": faults.status(200, body=gzip.compress(LISTING)[:-14]) + faults.headers(Content_Encoding="gzip"),
    "JSON": faults.status(200, body=LISTING[:-1]),
    "text": faults.status(200, body=LISTING[:-3]),
    "long text": faults.status(200, body=b'{"sha": "abcdefghijklmnop'),
    "key": faults.status(200, body=LISTING[:3]),
    "character": faults.status(200, body=b'{"sha": "\xc3'),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_document_that_breaks_off_is_requested_again(server: FaultyServer, cut: faults.Fault) -> None:
    """It ends where its length says, or its chunks, or its JSON; in the end the reason is the connection."""
    assert document(server.serve("/api", LISTING, faults=[cut, cut, faults.ok()])).body == LISTING
    with pytest.raises(NetworkError, match=r"was lost \(4 attempts\)"):
        document(server.serve("/api", LISTING, faults=[cut]))


@pytest.mark.parametrize("partial", PARTIAL.values(), ids=PARTIAL)
def test_json_that_a_proxy_cut_is_requested_again(server: FaultyServer, partial: faults.Fault) -> None:
    """The proxy lost the server, and sent what it had as if that were all."""
    assert document(server.serve("/api", LISTING, faults=[partial, faults.ok()])).json() == {"sha": "abc"}
    with pytest.raises(NetworkError, match=r"only a part of its response \(4 attempts\)"):
        document(server.serve("/api", LISTING, faults=[partial]))


def test_a_limit_that_is_told_with_403_is_waited_for(server: FaultyServer) -> None:
    """GitHub's are; any other 403 is final. The server's words are reported."""
    events: list[Event] = []
    limit = faults.status(403, 0, b'{"message": "API rate limit exceeded"}')
    limit += faults.headers(X_RateLimit_Remaining="0", X_RateLimit_Reset_After="0.01", Retry_After="")
    url = server.serve("/api", LISTING, faults=[limit, faults.ok()])
    assert document(url, emit=events.append).json() == {"sha": "abc"}
    assert [event.reason for event in events if isinstance(event, Retrying)] == [
        f'{url.split("/")[2]} returned 403, "API rate limit exceeded"'
    ]


@pytest.mark.parametrize("status", [203, 206])
def test_a_success_of_another_kind_is_one(server: FaultyServer, status: int) -> None:
    """Proxies that change headers turn 200 into 203."""
    assert document(server.serve("/api", faults=[faults.status(status, body=LISTING)])).is_success


def test_headers_that_are_sent_twice_are_joined(server: FaultyServer) -> None:
    """A page may have several Link headers; none of them is lost."""
    head = b"HTTP/1.1 200 OK\r\nLink: <?2>; rel=next\r\nLink: <a.css>; rel=preload\r\nContent-Length: 2\r\n\r\n[]"
    found = document(server.serve("/api", faults=[faults.garbage(head)]))
    assert found.headers["link"] == "<?2>; rel=next, <a.css>; rel=preload"


PAGE = b"<!DOCTYPE html><html><head><title>Welcome to Hotel WiFi</title></head>"
HTML = faults.headers(Content_Type="text/html")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (faults.status(200, body=PAGE), 200),
        (faults.status(200, body=b"Please log in") + HTML, 200),
        (faults.status(200, body=gzip.compress(PAGE)) + faults.headers(Content_Encoding="gzip"), 200),
        (faults.status(403, body=PAGE) + HTML, 403),
        (faults.status(511, body=PAGE), 511),
        (faults.status(401, body=b"  <html>"), 401),
        (faults.status(200, body=b"\xef\xbb\xbf\n<!-- a --><HTML>"), 200),
        (faults.status(200, body=b"<script>location = 'http://portal/'</script>"), 200),
        (faults.status(200, body=b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'>"), 200),
        (faults.redirect("/login"), 200),
    ],
)
def test_a_web_page_is_named_as_one(server: FaultyServer, fault: faults.Fault, status: int) -> None:
    """Whatever its status: a network that requires a login sends it, or a filter. It is not retried."""
    server.serve("/login", PAGE)
    with pytest.raises(NetworkError, match=rf"returned a web page \({status}") as caught:
        document(server.serve("/api", faults=[fault]))
    assert "requires a login" in caught.value.hint
    assert "JSON" not in caught.value.message
    assert len(server.exchanges("/api")) == 1


@pytest.mark.parametrize("fault", [faults.status(404, body=PAGE), faults.ok() + HTML, faults.status(403) + HTML])
def test_other_responses_are_no_web_pages(server: FaultyServer, fault: faults.Fault) -> None:
    """A server's own page for what it does not have, JSON of the wrong type, and nothing at all."""
    document(server.serve("/api", LISTING, faults=[fault]))


def test_an_interrupt_does_not_wait_for_the_response(server: FaultyServer) -> None:
    """Nor for the next attempt."""
    token = CancelToken()
    url = server.serve("/api", LISTING, faults=[faults.stall_head()])

    def cancel() -> None:
        server.stalled.wait(10)
        token.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        document(url, token=token)
    assert time.monotonic() - began < 5


def test_offline_nothing_is_requested(server: FaultyServer) -> None:
    """The message has the address."""
    url = server.serve("/api", LISTING)
    with pytest.raises(NetworkError, match="/api"):
        document(url, network=Network(offline=True))
    assert not server.exchanges()


@pytest.mark.parametrize("fault", [faults.stall_head(), faults.status(503)])
def test_patience_ends_the_attempts(server: FaultyServer, monkeypatch: pytest.MonkeyPatch, fault: faults.Fault) -> None:
    """However many retries are left, and whatever the server does meanwhile."""
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.1)
    began = time.monotonic()
    with pytest.raises(NetworkError, match=r"has not answered for 0\.3 s"):
        document(server.serve("/api", LISTING, faults=[fault]), retries=1000, patience=0.3)
    assert 0.3 <= time.monotonic() - began < 3
