"""A refused thread or file descriptor costs connections and retries, and ends in one sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import luci_dl
from luci_dl.errors import NetworkError
from luci_dl.events import Event, Retrying, Warned
from luci_dl.net import connections, dial, fetch, pieces, retry, tune
from luci_dl.plan import Options
from luci_dl.sources.context import ResolveContext
from tests.net.fetching import DATA, OK, Run, proved
from tests.servers import FaultyServer, faults

Refuse = Callable[[range], None]
Limit = Callable[[], Callable[[], bool]]
ALWAYS = range(1_000_000)


@pytest.fixture
def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Refuses fetching threads with these numbers, counted from 0, as the system does at its limit."""
    start, count = threading.Thread.start, 0

    def refuse(numbers: range) -> None:
        def start_or_refuse(thread: threading.Thread) -> None:
            nonlocal count
            if thread.name == "luci-fetch":
                count += 1
                if count - 1 in numbers:
                    raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", start_or_refuse)

    return refuse


@pytest.fixture
def refuse_descriptors(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Refuses the connections with these numbers, counted from 0, for want of a descriptor."""
    count = 0

    def refuse(numbers: range) -> None:
        def dial_or_refuse(*args: Any) -> tuple[socket.socket, float]:
            nonlocal count
            count += 1
            if count - 1 in numbers:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return dial.dial(*args)

        monkeypatch.setattr(connections, "dial", dial_or_refuse)

    return refuse


@pytest.fixture(params=["threads", "descriptors"])
def refuse(request: pytest.FixtureRequest, refuse_threads: Refuse, refuse_descriptors: Refuse) -> Refuse:
    return refuse_threads if request.param == "threads" else refuse_descriptors


@pytest.mark.parametrize("run", [True], ids=["thread"], indirect=True)
def test_a_refusal_is_retried(run: Run, refuse: Refuse) -> None:
    """It may be temporary: other programs end."""
    refuse(range(1))
    run.fetch(OK)
    proved(run)
    assert len(run.retries) == 1


@pytest.mark.parametrize("run", [True], ids=["thread"], indirect=True)
def test_a_lasting_refusal_is_a_network_error(run: Run, refuse: Refuse) -> None:
    """It names the cause and what to do, and nobody keeps a right to write."""
    refuse(ALWAYS)
    refused = "(allows no more threads|Too many open files)"
    with pytest.raises(NetworkError, match=rf"m\.gguf: .*{refused} \(4 attempts\)") as caught:
        run.fetch(OK)
    assert "ulimit" in caught.value.hint
    assert not run.sink.leased


def test_a_document_meets_the_same_limits(
    server: FaultyServer, refuse_descriptors: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is retried, and is a network error in the end."""
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.001)
    url = server.serve("/api", b"{}")
    events: list[Event] = []

    def document(retries: int) -> bytes:
        return ResolveContext(emit=events.append, retries=retries).document(url, {}).body

    refuse_descriptors(ALWAYS)
    with pytest.raises(NetworkError, match="Too many open files"):
        document(2)
    assert [type(event) for event in events] == [Retrying, Retrying]


@pytest.fixture(params=["threads", "descriptors"])
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, refuse_descriptors: Refuse) -> Limit:
    """Lets one connection work, and refuses some more. Returns: whether it has refused a thread."""
    start = threading.Thread.start
    refused: list[threading.Thread] = []

    def start_or_refuse(thread: threading.Thread) -> None:
        for other in threading.enumerate():
            if thread.name == other.name == "luci-fetch":
                other.join(0.05)  # it may be about to end
                if other.is_alive():
                    refused.append(thread)
                    raise RuntimeError("can't start new thread")
        start(thread)

    def begin() -> Callable[[], bool]:
        if request.param == "threads":
            monkeypatch.setattr(threading.Thread, "start", start_or_refuse)
        else:
            refuse_descriptors(range(1, 4))
        return lambda: bool(refused)

    return begin


@pytest.mark.parametrize("mirrors", [1, 2])
def test_refused_connections_leave_the_others_at_work(
    server: FaultyServer, limit: Limit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mirrors: int
) -> None:
    """No retry is counted, no mirror is blamed, and no segment is lost."""
    monkeypatch.setattr(pieces, "WINDOW", 1 << 18)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1 << 15)
    monkeypatch.setattr(pieces, "MIN_PIECE_BYTES", 1 << 14)
    monkeypatch.setattr(pieces, "SHARE_S", 0.05)
    monkeypatch.setattr(pieces, "SLOW_S", 0.05)
    monkeypatch.setattr(fetch, "PAUSE_S", 0.1)
    monkeypatch.setattr(tune, "BACKOFF_S", 0.1)
    events: list[Event] = []
    digest = hashlib.sha256(DATA).hexdigest()
    urls = [server.serve(f"/{n}/m.bin", DATA, faults=[faults.trickle(2e5)]) for n in range(mirrors)]
    refused = limit()
    (path,) = luci_dl.install(
        *(f"{url}#sha256={digest}" for url in urls),
        folder=tmp_path,
        options=Options(connections=4, retries=0, min_free=0),
        emit=events.append,
    )
    assert path.read_bytes() == DATA
    assert not [event for event in events if isinstance(event, Retrying | Warned)]
    assert refused() or len(server.exchanges()) > 1
