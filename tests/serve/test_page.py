"""The routes of the page: the page, the status, and the events of many viewers."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.serve import page
from luci_dl.serve.status import Facts
from tests.disk.hands import digest_of
from tests.procs import Spawned, luci, wait_until
from tests.serve.stage import Stage, file, shown
from tests.servers import FaultyServer

EVENTS = "/luci/v1/events"
Event = tuple[str, Mapping[str, Any]]


@contextmanager
def asked(port: int, path: str, method: str = "GET", **headers: str) -> Iterator[http.client.HTTPResponse]:
    """A response while it comes; the connection ends with the block."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        with connection.getresponse() as response:
            yield response


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body."""
    with asked(port, path, method, **headers) as response:
        return response.status, response.headers, response.read()


@contextmanager
def events(port: int) -> Iterator[Iterator[Event]]:
    """What a viewer hears while it stays."""
    with asked(port, EVENTS) as response:
        assert response.status == 200
        yield _heard(response)


def _heard(response: http.client.HTTPResponse) -> Iterator[Event]:
    while name := response.readline():
        data = response.readline()
        assert response.readline() == b"\n"
        yield name.decode().removeprefix("event: ").strip(), json.loads(data.removeprefix(b"data: "))


def test_nothing_foreign_is_allowed_in_the_page() -> None:
    """Its own style and script, by their digests, and its own server."""
    with shown(Stage()) as port:
        _, headers, body = get(port, "/")
        policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"].startswith("'sha256-")
        assert policy["connect-src"] == "'self'"
        assert "unsafe" not in str(policy)
        assert headers["Cache-Control"] == "no-store"
        assert b"https://" not in body.replace(b"https://huggingface.co", b"")


@pytest.mark.parametrize("path", ["/", "/luci/v1/status", "/luci/v1/events"])
def test_nothing_can_be_changed(path: str) -> None:
    """A HEAD is answered at once, and other methods are refused."""
    with shown(Stage()) as port:
        assert get(port, path, "HEAD")[0] == 200
        assert {get(port, path, method)[0] for method in ("POST", "PUT", "DELETE")} == {405}


@pytest.mark.parametrize(
    ("headers", "hidden"),
    [
        ({}, 0),
        ({"Host": "localhost"}, 0),
        ({"Host": "lab.example"}, 1),
        ({"Host": "["}, 1),
        ({"X_Forwarded_For": "10.0.0.5"}, 1),
    ],
)
def test_only_viewers_on_this_machine_see_what_is_not_public(headers: Mapping[str, str], hidden: int) -> None:
    """Neither those behind a proxy on it, nor a web page that leads its own name here."""
    with shown(Stage(files=[file("a.gguf", 1, access="gated")])) as port:
        status, _, body = get(port, "/luci/v1/status", **headers)
        assert (status, json.loads(body)["hidden"]) == (200, hidden)
        assert (b"a.gguf" in get(port, "/", **headers)[2]) == (not hidden)


def test_a_viewer_hears_everything_once_and_then_what_changes() -> None:
    stage = Stage(files=[file("a.gguf", 1)])
    with shown(stage) as port, events(port) as heard:
        (_, status), (_, view) = next(heard), next(heard)
        assert [each["name"] for each in status["files"]] == ["a.gguf"]
        assert view["amount"] == "1 file, 1\u00a0B"
        stage.hub_state = "away"
        assert next(heard) == ("status", {"now": ANY, "hub": {"address": "https://huggingface.co", "state": "away"}})
        assert next(heard) == ("page", {"hub": ANY})


class _Any:
    def __eq__(self, other: object) -> bool:
        return True


ANY = _Any()


def test_a_viewer_hears_that_the_server_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nothing changes."""
    monkeypatch.setattr(page, "BEAT_S", 1)
    with shown(Stage()) as port, events(port) as heard:
        assert [name for name, _ in (next(heard), next(heard), next(heard))] == ["status", "page", "beat"]


def test_what_viewers_see_is_made_once_a_second_for_all() -> None:
    """However many they are."""
    calls = list[float]()

    class Counted(Stage):
        def facts(self) -> Facts:
            calls.append(time.monotonic())
            return super().facts()

    with shown(Counted()) as port, ExitStack() as viewers:
        for _ in range(20):
            viewers.enter_context(asked(port, EVENTS))
        wait_until(lambda: len(calls) >= 3)
    assert min(later - earlier for earlier, later in pairwise(calls)) >= 0.99


def test_viewers_are_bounded_and_make_room_when_they_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than fits is told to come back."""
    monkeypatch.setattr(page, "MOST_VIEWERS", 2)
    with shown(Stage()) as port, events(port):
        with events(port):
            status, headers, _ = get(port, EVENTS)
            assert (status, headers["Retry-After"]) == (503, "15")
            assert get(port, "/")[0] == 200
        wait_until(lambda: _is_let_in(port))


def _is_let_in(port: int) -> bool:
    with asked(port, EVENTS) as response:
        return response.status == 200


def test_a_viewer_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are not held up by it, and there is room for another one."""
    monkeypatch.setattr(page, "PATIENCE_S", 0.5)
    monkeypatch.setattr(page, "MOST_VIEWERS", 2)
    stage = Stage(files=[file(f"{n}.gguf", 1, "r" * 2000) for n in range(4000)])
    with shown(stage) as port, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        slow.sendall(b"GET /luci/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(12) == b"HTTP/1.1 200"
        with events(port) as heard:
            assert not _is_let_in(port)
            assert [len(next(heard)[1]["files"]) for _ in range(2)] == [4000, 4000]
            stage.hub_state = "away"
            assert next(heard)[1]["hub"]["state"] == "away"
            wait_until(lambda: _is_let_in(port))


def test_the_events_end_with_the_server() -> None:
    """At once, though their viewers stay; and they notice."""
    with ExitStack() as viewer:
        with shown(Stage()) as port:
            response = viewer.enter_context(asked(port, EVENTS))
            response.readline()
            began = time.monotonic()
        assert time.monotonic() - began < 5
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()


def test_luci_serve_reports_what_it_does(server: FaultyServer, tmp_path: Path) -> None:
    """A file that is installed, sent and counted, by the real command."""
    data = make_gguf(300_000)
    url = server.serve("/m.gguf", data)
    assert luci("install", f"{url}#sha256={digest_of(data)}", "--dir", tmp_path / "m").returncode == 0
    with Spawned("serve", "--bind", "127.0.0.1:0", "--dir", tmp_path / "m") as run:
        run.wait_for("Only this machine")
        port = int(re.findall(r"http://127.0.0.1:(\d+)", run.out + run.err)[0])
        assert get(port, f"/luci/v1/files/{digest_of(data)}")[2] == data
        status = json.loads(get(port, "/luci/v1/status")[2])
        assert [(each["name"], each["size"], each["sent"]) for each in status["files"]] == [("m.gguf", len(data), 1)]
        assert (status["totals"]["lan_bytes"], status["totals"]["clients"]) == (len(data), 1)
        assert (status["pull"], status["hub"]["state"]) == (True, "unasked")
        assert b"m.gguf" in get(port, "/")[2]
        run.signal(signal.SIGTERM)
        assert run.wait() == -signal.SIGTERM
