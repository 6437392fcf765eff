"""A request that is sent before its response is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from luci_dl.errors import StorageError
from luci_dl.net import head_start
from luci_dl.net.client import Client
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed
from tests.net.asking import DATA, SECRET, SITUATION, asked, body, whole
from tests.procs import wait_until
from tests.servers import FaultyServer, faults


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def url(server: FaultyServer) -> str:
    """It redirects to the file."""
    return server.serve("/m.gguf", faults=[faults.redirect(server.serve("/real", DATA))])


@pytest.fixture
def started(server: FaultyServer, client: Client, url: str) -> Iterator[None]:
    """A head start whose request has come to the end of the redirects."""
    with client.head_start(RangeRequest(url, 0, None), SECRET, ""):
        wait_until(lambda: server.exchanges("/real"))
        yield


@pytest.mark.usefixtures("started")
def test_the_same_request_takes_the_response(server: FaultyServer, client: Client, url: str) -> None:
    """Once: who asks again sends a request."""
    assert body(url, client) == DATA
    assert len(server.exchanges()) == 2
    assert body(url, client) == DATA
    assert len(server.exchanges()) == 4


@pytest.mark.usefixtures("started")
def test_another_request_is_sent(server: FaultyServer, client: Client, url: str) -> None:
    """For another range, or from where the first one was redirected to."""
    with asked(url, client, start=1) as response:
        location = response.location
        assert whole(response) == DATA[1:]
    response = client.get(RangeRequest(url, 0, None), SITUATION, SECRET, "", location)
    assert whole(response) == DATA
    response.close()
    assert len(server.exchanges("/real")) == 3


def test_a_response_that_nobody_takes_is_closed(server: FaultyServer, client: Client) -> None:
    """Whether it comes before or after the block; then the same request is sent as ever."""
    url = server.serve("/m.gguf", DATA, [faults.stall(0), faults.ok()])
    with client.head_start(RangeRequest(url, 0, None), SECRET, ""):
        assert server.stalled.wait(5)
    server.release()
    assert body(url, client) == DATA
    assert len(server.exchanges()) == 2


def test_a_response_that_was_left_for_long_is_asked_for_again(
    server: FaultyServer, client: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may have given it up."""
    monkeypatch.setattr(head_start, "FRESH_S", 0.0)
    with client.head_start(RangeRequest(url, 0, None), SECRET, ""):
        assert body(url, client) == DATA
        assert len(server.exchanges("/m.gguf")) == 2


def test_a_response_that_is_long_in_coming_is_waited_for(
    server: FaultyServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is fresh when it comes: a slow server gets no second request."""
    monkeypatch.setattr(head_start, "FRESH_S", 0.2)
    url = server.serve("/m.gguf", DATA, [faults.stall_head()])
    with client.head_start(RangeRequest(url, 0, None), SECRET, ""):
        threading.Timer(0.5, server.release).start()
        time.sleep(0.3)
        assert body(url, client) == DATA
    assert len(server.exchanges()) == 1


def test_its_failure_is_that_of_the_one_who_waits(client: Client) -> None:
    """As if that one had sent the request."""
    url = "http://127.0.0.1:1/m.gguf"
    with client.head_start(RangeRequest(url, 0, None), SECRET, ""), pytest.raises(AttemptFailed, match="refused"):
        body(url, client)
    with client.head_start(RangeRequest(url, 0, None), SECRET, ""):
        pass


def test_without_a_thread_there_is_none(
    server: FaultyServer, client: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is sent when it is needed."""

    def refused(*_args: object) -> threading.Thread:
        raise StorageError("no more threads")

    monkeypatch.setattr(head_start, "start_thread", refused)
    with client.head_start(RangeRequest(url, 0, None), SECRET, ""):
        assert body(url, client) == DATA
    assert len(server.exchanges("/real")) == 1
