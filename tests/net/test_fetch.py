"""One file into a sink in memory, from a server that fails in every possible way."""

from __future__ import annotations

import json
import re
import threading
import time
from email.utils import formatdate

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.errors import IntegrityError, Interrupted, LuciError, NetworkError, ResolveError
from luci_dl.events import Progress, Retrying
from luci_dl.model import Artifact
from luci_dl.net import rate_meter, retry
from luci_dl.net.client import Client
from luci_dl.net.fetch import Fetch
from luci_dl.net.retry import Silent
from luci_dl.plan import Lease
from tests.net.fetching import CUT, DATA, HALF, OK, Run, proved
from tests.net.sink import MemorySink
from tests.procs import wait_until
from tests.servers import FaultyServer, faults


@pytest.mark.parametrize(
    "fault", [OK, faults.chunked(), faults.close_delimited(), faults.no_etag(), faults.no_ranges()]
)
def test_an_honest_server_gets_one_request(run: Run, fault: faults.Fault) -> None:
    """With any framing, with or without ranges and validators."""
    run.fetch(fault)
    proved(run)
    assert (len(run.asked), run.retries) == (1, [])


@pytest.mark.parametrize("cut", [CUT, faults.close_delimited() + CUT, faults.cut(0)])
def test_a_lost_connection_is_resumed(run: Run, cut: faults.Fault) -> None:
    """The next request is for the missing bytes, on condition that the file is the same."""
    run.sink = MemorySink(size=len(DATA), provable=False)
    run.fetch(cut, OK)
    proved(run)
    assert len(run.retries) == 1
    there = run.server.exchanges()[0].sent
    assert run.asked == [("bytes=0-", None), (f"bytes={there}-", run.etag())]
    assert run.server.sent() == len(DATA)


@pytest.mark.parametrize("cut", [faults.cut(HALF, reset=True), faults.chunked() + CUT])
def test_a_lost_connection_costs_at_most_a_block(run: Run, cut: faults.Fault) -> None:
    """Only bytes that a reset discarded, or that were in a broken chunk, are requested again."""
    run.fetch(cut, OK)
    proved(run)
    assert (len(run.retries), run.sink.restarts) == (1, 0)
    assert run.server.sent() < len(DATA) + HALF


def test_a_connection_lost_in_the_head_is_retried(run: Run) -> None:
    """Wherever the head is cut off."""
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 307200\r\nETag: "x"\r\n\r\n'
    cuts = [faults.garbage(head[:end]) for end in range(0, len(head), 5)]
    run.fetch(*cuts, OK, retries=len(cuts))
    proved(run)
    assert (len(run.retries), run.sink.restarts) == (len(cuts), 0)


@pytest.mark.parametrize("fault", [faults.stall(HALF), faults.stall(0), faults.stall_head()])
def test_a_stalled_server_is_retried(run: Run, fault: faults.Fault) -> None:
    """Even if it never responds. The old attempt loses its right to write before the new one begins."""
    run.fetch(fault, OK)
    proved(run)
    [reason] = run.retries
    assert re.search("the server stalled|did not respond in time", reason)


def test_a_trickle_is_a_stall(run: Run) -> None:
    """A byte now and then is not progress."""
    run.fetch(faults.trickle(100), OK)
    proved(run)
    [reason] = run.retries
    assert re.search("the server stalled|did not respond in time", reason)


def test_a_trickle_above_the_limit_is_not_a_stall(run: Run) -> None:
    """A slow line is not a stalled one."""
    run.sink = MemorySink(size=len(DATA), there=DATA[: -(8 << 10)])
    run.fetch(faults.trickle(8 << 10))
    proved(run)
    assert run.retries == []


def test_retry_after_is_obeyed(run: Run) -> None:
    """In seconds or as a date; the event has the delay."""
    began = time.monotonic()
    run.fetch(faults.status(429, retry_after=1), faults.status(503, retry_after=formatdate(usegmt=True)), OK)
    proved(run)
    delays = [event.delay for event in run.events if isinstance(event, Retrying)]
    assert delays[0] == 1
    assert delays[1] < 1
    assert time.monotonic() - began >= 1


def test_a_retry_after_that_is_too_long_ends_the_fetch(run: Run) -> None:
    """The bytes are kept, and the message has the delay."""
    with pytest.raises(NetworkError, match="60 minutes"):
        run.fetch(CUT, faults.status(429, retry_after=3600))
    assert (len(run.retries), run.sink.received) == (1, HALF)


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_the_number_of_retries_is_kept(run: Run, retries: int) -> None:
    """Each retry is reported with its number."""
    with pytest.raises(NetworkError, match="503"):
        run.fetch(faults.status(503), retries=retries)
    told = [(event.attempt, event.max_attempts) for event in run.events if isinstance(event, Retrying)]
    assert told == [(number, retries) for number in range(1, retries + 1)]
    assert len(run.asked) == retries + 1


def test_a_mebibyte_of_progress_resets_the_retries(run: Run) -> None:
    """There are more lost connections than retries, each after more than a MiB."""
    data = bytes(6 << 20)
    url = run.server.serve("/m.gguf", data, faults=[faults.cut(1_500_000)])
    sink = MemorySink(size=len(data))
    artifact = Artifact("m.gguf", (url,))
    Fetch(
        Client(), artifact, sink, retries=1, token=run.token, emit=run.events.append, report=run.reports.append,
        check=lambda: None,
    ).run()  # fmt: skip
    assert bytes(sink.data) == data
    assert len(run.retries) > 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.status(404), ResolveError),
        (faults.status(403), ResolveError),
        (faults.status(501), NetworkError),
        (faults.garbage(), NetworkError),
        (faults.huge_headers(), NetworkError),
        (faults.redirect("/m.gguf"), NetworkError),
    ],
)
def test_a_permanent_error_ends_the_fetch_at_once(run: Run, fault: faults.Fault, error: type[Exception]) -> None:
    """There is no retry, and no byte in the sink."""
    with pytest.raises(error):
        run.fetch(fault)
    assert (run.retries, run.sink.received) == ([], 0)


def test_an_expired_address_is_resolved_again_from_the_origin(run: Run) -> None:
    """A 403 from the redirect's target, which has served until then, costs neither a retry nor the download."""
    there = run.server.url("/signed", host="localhost")
    run.server.serve("/signed", DATA, faults=[CUT, faults.status(403), OK])
    run.sink = MemorySink(size=len(DATA))
    run.fetch(faults.hub_redirect(there, DATA))
    proved(run)
    assert [exchange.status for exchange in run.server.exchanges("/signed")] == [206, 403, 206]
    assert len(run.server.exchanges("/m.gguf")) == 2
    assert len(run.retries) == 1, "for the lost connection"
    assert [remote.sha256 is not None for remote in run.sink.remotes] == [True, True]


def test_progress_is_reported_until_all_is_there(run: Run) -> None:
    """It rises, has the total, and the last report is complete."""
    run.sink = MemorySink()
    run.fetch(faults.trickle(1 << 20))
    progress = [event for event in run.events if isinstance(event, Progress)]
    assert progress == run.reports
    assert [event.done for event in progress] == sorted({event.done for event in progress})
    assert len(progress) >= 3
    assert (progress[-1].done, progress[-1].total) == (len(DATA), len(DATA))


def test_a_response_may_begin_late(run: Run) -> None:
    """A proxy may scan the whole file first: the limits for a stalled response apply from its first byte on."""
    timer = threading.Timer(0.6, run.server.release)
    timer.start()
    run.fetch(faults.stall_head())
    timer.join()
    proved(run)
    assert run.retries == []


def test_a_complete_part_needs_no_server(run: Run) -> None:
    """There is no request for it."""
    run.sink = MemorySink(size=len(DATA), there=DATA)
    run.fetch()
    assert run.asked == []


@pytest.mark.parametrize("run", [True], ids=["thread"], indirect=True)
@pytest.mark.parametrize("fault", [faults.stall(HALF), faults.stall_head(), faults.trickle(50_000), faults.status(503)])
def test_cancelling_ends_the_fetch_at_once(run: Run, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it reads, waits for a response, or waits for a retry; nothing is written afterwards."""
    monkeypatch.setattr(retry, "MAX_DELAY_S", 60.0)
    monkeypatch.setattr(rate_meter, "STALL_S", 60.0)
    timer = threading.Timer(0.2, run.token.cancel)
    timer.start()
    with pytest.raises(Interrupted):
        run.fetch(fault)
    timer.join()
    wait_until(lambda: not run.sink.leased)
    received = run.sink.received
    run.server.release()
    run.server.close()
    assert run.sink.received == received


def test_an_error_behind_the_sink_ends_the_fetch_at_once(server: FaultyServer) -> None:
    """The fetch raises what `check` raises, while it waits for the network."""
    sink = MemorySink()
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)])

    def check() -> None:
        if server.stalled.is_set():
            raise IntegrityError("the disk is full, say")

    fetch = Fetch(
        Client(), Artifact("m.gguf", (url,)), sink, retries=3, token=CancelToken(), emit=lambda _: None,
        report=lambda _: None, check=check,
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="disk is full"):
        fetch.run()
    wait_until(lambda: not sink.leased)


def test_a_bug_is_not_swallowed(server: FaultyServer) -> None:
    """An unexpected exception in a worker is raised by the fetch."""

    class Broken(MemorySink):
        def write(self, lease: Lease, data: bytes | memoryview) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Run(server, Broken()).fetch(OK)


@pytest.mark.parametrize("fault", [faults.stall_head(), faults.status(503), faults.hangs_up(), faults.stall(HALF)])
def test_patience_ends_a_fetch_when_nothing_comes(run: Run, fault: faults.Fault) -> None:
    """However many retries there are, and nobody reads of them; what came is kept."""
    began = time.monotonic()
    with pytest.raises(Silent, match=r"has sent nothing for 0\.4 s"):
        run.fetch(CUT, fault, retries=1000, patience=0.4)
    assert 0.4 <= time.monotonic() - began < 3
    assert run.retries == []
    assert run.sink.received == HALF


def test_responses_without_a_byte_are_silence(run: Run) -> None:
    """However promising their heads."""
    began = time.monotonic()
    with pytest.raises(Silent):
        run.fetch(CUT, faults.cut(0), patience=0.4)
    assert time.monotonic() - began < 3


def test_a_file_that_comes_again_and_again_ends_a_fetch_with_patience(run: Run) -> None:
    """Never to its end: bytes that are dropped again are none."""
    with pytest.raises(IntegrityError, match="again and again, and never to its end"):
        run.fetch(faults.no_ranges() + CUT, patience=60.0)
    assert run.sink.restarts == 2


def test_patience_outlasts_the_retries(run: Run) -> None:
    """Attempts follow each other quickly until it is over."""
    run.fetch(CUT, faults.status(503), faults.hangs_up(), faults.status(500), OK, retries=0, patience=3.0)
    proved(run)
    assert run.retries == []


def test_patience_is_with_the_server_not_with_the_disk(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a block waits to be written, the server is not silent."""
    write = MemorySink.write

    def write_late(sink: MemorySink, lease: Lease, data: bytes | memoryview) -> int:
        time.sleep(0.5)
        return write(sink, lease, data)

    monkeypatch.setattr(MemorySink, "write", write_late)
    run.fetch(OK, patience=0.2)
    proved(run)


def said(code: str, status: int) -> faults.Fault:
    return faults.status(status, body=json.dumps({"error": code, "message": "The disk is in the sea."}).encode())


@pytest.mark.parametrize("code", ["upstream_wrong", "upstream_away", "no_room", "upstream_refused"])
def test_a_server_that_says_why_not_ends_a_fetch_with_patience(run: Run, code: str) -> None:
    """At once, although it has served bytes."""
    with pytest.raises(LuciError, match="The disk is in the sea"):
        run.fetch(CUT, said(code, 502), patience=60.0)
    assert len(run.asked) == 2


def test_wrong_bytes_upstream_are_no_bad_line(run: Run) -> None:
    """Not even for the only server; one that cannot reach its own is asked again."""
    with pytest.raises(IntegrityError, match="The disk is in the sea"):
        run.fetch(said("upstream_wrong", 502))
    assert len(run.asked) == 1
    run.fetch(said("upstream_away", 504), OK)
    proved(run)
