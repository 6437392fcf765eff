"""Small responses, read completely."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.errors import Interrupted, NetworkError
from luci_dl.events import Event, Retrying
from luci_dl.net import retry
from luci_dl.net.documents import fetch_document
from luci_dl.net.network import Network
from luci_dl.net.response import Document
from tests.servers import FaultyServer, faults

SECRET = {"Authorization": "Bearer secret"}
LISTING = b'{"sha": "abc"}'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.01)


def document(url: str, **more: Any) -> Document:
    given = {"token": CancelToken(), "emit": lambda _event: None, "retries": 3, "at_most": 1000, **more}
    return fetch_document(Network(), url, SECRET, **given)


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
    """Neither is JSON that is nested too deeply."""
    for body in (b"<html>", b"[" * 900):
        with pytest.raises(NetworkError, match="not JSON"):
            document(server.serve("/api", body)).json()


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
        fetch_document(
            Network(offline=True), url, {}, token=CancelToken(), emit=lambda _event: None, retries=3, at_most=1000
        )
    assert not server.exchanges()
