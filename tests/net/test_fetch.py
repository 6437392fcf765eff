"""One file into a sink in memory, from a server that fails in every way it knows."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from luci_dl.artifact import Artifact
from luci_dl.cancel import CancelToken
from luci_dl.errors import IntegrityError, Interrupted, NetworkError, ResolveError
from luci_dl.events import Event, Progress, Retrying
from luci_dl.net import fetch as module
from luci_dl.net import retry, speed
from luci_dl.net.client import Client
from luci_dl.net.fetch import Fetch
from luci_dl.plan import Lease
from tests.net.sink import MemorySink
from tests.procs import wait_until
from tests.servers import FaultyServer, faults

DATA = bytes(range(256)) * 1200  # 300 KiB
HALF = len(DATA) // 2
OK = faults.ok()
CUT = faults.cut(after=HALF)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds, and a stall after a fifth of a second."""
    monkeypatch.setattr(retry, "LONGEST_S", 0.001)
    monkeypatch.setattr(speed, "STALL_S", 0.2)
    monkeypatch.setattr(module, "TICK_S", 0.02)


@dataclasses.dataclass
class Run:
    """One fetch, its sink and what it told."""

    server: FaultyServer
    sink: MemorySink
    events: list[Event] = dataclasses.field(default_factory=list)
    told: list[Progress] = dataclasses.field(default_factory=list)
    token: CancelToken = dataclasses.field(default_factory=CancelToken)

    def fetch(self, *scripted: faults.Fault, retries: int = 3) -> None:
        url = self.server.serve("/m.gguf", DATA, faults=scripted)
        Fetch(
            Client(connect_s=60, read_s=60),
            Artifact("m.gguf", (url,)),
            self.sink,
            retries=retries,
            token=self.token,
            emit=self.events.append,
            tell=self.told.append,
            check=lambda: None,
        ).run()

    @property
    def retries(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Retrying)]

    @property
    def asked(self) -> list[tuple[str | None, str | None]]:
        """Range and If-Range of each request."""
        return [(e.headers.get("range"), e.headers.get("if-range")) for e in self.server.exchanges("/m.gguf")]

    def etag(self) -> str:
        validator = self.sink.remotes[0].validator
        assert validator
        return validator


@pytest.fixture
def run(server: FaultyServer) -> Iterator[Run]:
    """A fetch of a file of unknown size whose digest is known; afterwards nobody may still write."""
    run = Run(server, MemorySink())
    yield run
    wait_until(lambda: not run.sink.leased)


def proved(run: Run) -> None:
    assert bytes(run.sink.data) == DATA


@pytest.mark.parametrize(
    "fault", [OK, faults.chunked(), faults.close_delimited(), faults.no_etag(), faults.no_ranges()]
)
def test_an_honest_server_is_asked_once(run: Run, fault: faults.Fault) -> None:
    """Whatever the framing, and with or without ranges and validators."""
    run.fetch(fault)
    proved(run)
    assert (len(run.asked), run.retries) == (1, [])


@pytest.mark.parametrize("cut", [CUT, faults.close_delimited() + CUT, faults.cut(0)])
def test_a_cut_line_is_gone_on_with(server: FaultyServer, cut: faults.Fault) -> None:
    """The next request asks for what is missing, on the condition that the file is the same."""
    run = Run(server, MemorySink(size=len(DATA)))
    run.fetch(cut, OK)
    proved(run)
    assert len(run.retries) == 1
    there = server.exchanges()[0].sent
    assert run.asked[1] == ((f"bytes={there}-", run.etag()) if there else (None, None))
    assert server.sent() == len(DATA)


@pytest.mark.parametrize("cut", [faults.cut(HALF, reset=True), faults.chunked() + CUT])
def test_a_cut_may_cost_a_block_and_no_more(run: Run, cut: faults.Fault) -> None:
    """What a reset overtook, or was part of a broken chunk, is asked for again; nothing else."""
    run.fetch(cut, OK)
    proved(run)
    assert (len(run.retries), run.sink.restarts) == (1, 0)
    assert run.server.sent() < len(DATA) + HALF


def test_a_line_cut_in_the_head_is_a_line_cut(run: Run) -> None:
    """Half a head is none: each cut of it is retried."""
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 307200\r\nETag: "x"\r\n\r\n'
    cuts = [faults.garbage(head[:end]) for end in range(0, len(head), 5)]
    run.fetch(*cuts, OK, retries=len(cuts))
    proved(run)
    assert (len(run.retries), run.sink.restarts) == (len(cuts), 0)


@pytest.mark.parametrize("fault", [faults.stall(HALF), faults.stall(0), faults.stall_head()])
def test_a_stalled_server_is_asked_again(run: Run, fault: faults.Fault) -> None:
    """Also one that never answers; the old attempt has lost its right to write before the new one begins."""
    run.fetch(fault, OK)
    proved(run)
    assert run.retries == ["the server stalled"]


def test_a_trickle_is_a_stall(run: Run) -> None:
    """A byte now and then does not count as progress."""
    run.fetch(faults.trickle(100), OK)
    proved(run)
    assert run.retries == ["the server stalled"]


def test_a_trickle_above_the_limit_is_none(server: FaultyServer) -> None:
    """Slow is not stalled."""
    run = Run(server, MemorySink(size=len(DATA), there=DATA[: -(8 << 10)]))
    run.fetch(faults.trickle(8 << 10))
    proved(run)
    assert run.retries == []


@pytest.mark.parametrize("fault", [faults.no_ranges(), faults.wrong_range(shift=1), faults.wrong_range(total=7)])
def test_without_the_range_asked_it_starts_over(run: Run, fault: faults.Fault) -> None:
    """Never are bytes appended that belong elsewhere."""
    run.fetch(CUT, fault, OK)
    proved(run)
    assert run.sink.restarts == 1
    assert run.asked[-1] == ((f"bytes={HALF}-", run.etag()) if len(run.asked) == 2 else (None, None))


@pytest.mark.parametrize("fault", [faults.status(416), faults.headers(Content_Range="bytes */5")])
def test_a_range_that_is_refused_is_not_asked_again(run: Run, fault: faults.Fault) -> None:
    """After a 416, or a 206 without a range, the whole file is asked for."""
    run.fetch(CUT, fault, OK)
    proved(run)
    assert (run.asked[2], run.sink.restarts) == ((None, None), 1)


def test_a_server_that_never_honours_ranges_and_cuts_is_given_up(run: Run) -> None:
    """Bytes fetched again are no progress."""
    with pytest.raises(NetworkError, match="broke off"):
        run.fetch(faults.no_ranges() + CUT)
    assert len(run.retries) == 3


def test_a_changed_file_starts_over_when_its_digest_is_known(run: Run) -> None:
    """If-Range makes the server say so; nothing of two versions is mixed."""
    new = DATA[::-1]
    run.fetch(CUT, faults.changed(new))
    assert (bytes(run.sink.data), run.sink.restarts) == (new, 1)


def test_a_changed_file_without_digest_is_an_integrity_error(server: FaultyServer) -> None:
    """There is nothing to prove the new one by."""
    run = Run(server, MemorySink(provable=False))
    with pytest.raises(IntegrityError, match="changed"):
        run.fetch(CUT, faults.changed(DATA[::-1]))
    assert not run.sink.leased


def test_a_server_that_changes_its_file_each_time_is_given_up(run: Run) -> None:
    """Another version with each request is no reason to ask for ever."""
    versions = [faults.changed(DATA + bytes([n])) + CUT for n in range(20)]
    with pytest.raises(NetworkError):
        run.fetch(*versions, retries=5)
    assert len(run.asked) == 6


def test_without_validator_and_digest_it_starts_over(server: FaultyServer) -> None:
    """Nothing says that the rest would belong to the beginning."""
    run = Run(server, MemorySink(provable=False))
    run.fetch(faults.no_etag() + CUT, faults.no_etag())
    proved(run)
    assert (run.asked, run.sink.restarts) == ([(None, None)] * 2, 1)


def test_without_a_length_and_a_digest_nobody_knows_the_end(server: FaultyServer) -> None:
    """A body that ends with its connection may have been cut."""
    run = Run(server, MemorySink(provable=False))
    with pytest.raises(IntegrityError, match="how long the file is"):
        run.fetch(faults.close_delimited() + CUT)


def test_a_body_without_end_is_read_up_to_the_known_size(server: FaultyServer) -> None:
    """What the digest proves is right, however the server goes on."""
    run = Run(server, MemorySink(size=len(DATA)))
    run.fetch(faults.endless())
    proved(run)


@pytest.mark.parametrize("fault", [faults.longer(9), faults.close_delimited() + faults.longer(9)])
def test_more_than_the_file_may_have_is_refused(server: FaultyServer, fault: faults.Fault) -> None:
    """The sink has the last word, and the sender is not read to its end."""
    run = Run(server, MemorySink(size=len(DATA)))
    with pytest.raises(IntegrityError, match="more than"):
        run.fetch(fault)
    assert len(run.sink.data) <= len(DATA)
    assert not run.sink.leased


def test_a_body_longer_than_announced_is_cut_there(run: Run) -> None:
    """Content-Length is where the body ends; what follows does not spoil the next request on the connection."""
    run.fetch(faults.announce(-9))
    assert bytes(run.sink.data) == DATA[:-9]


def test_less_than_the_file_must_have_is_given_up(server: FaultyServer) -> None:
    """Each attempt brings the same short file."""
    run = Run(server, MemorySink(size=len(DATA)))
    with pytest.raises(NetworkError):
        run.fetch(faults.shorter(9), retries=1)


def test_a_flipped_byte_arrives_as_it_was_sent(run: Run) -> None:
    """The net wing proves nothing: that is done at the end, over what is on disk."""
    run.fetch(faults.flipped(5))
    assert [at for at in range(len(DATA)) if run.sink.data[at] != DATA[at]] == [5]


def test_a_busy_server_is_waited_for(run: Run) -> None:
    """Retry-After in seconds or as a date, shown as the wait that it is, and kept."""
    began = time.monotonic()
    run.fetch(faults.status(429, retry_after=1), faults.status(503, retry_after=formatdate(usegmt=True)), OK)
    proved(run)
    delays = [event.delay for event in run.events if isinstance(event, Retrying)]
    assert delays[0] == 1
    assert delays[1] < 1
    assert time.monotonic() - began >= 1


def test_too_long_a_wait_suspends_at_once(run: Run) -> None:
    """What is there stays, and the message says when to come back."""
    with pytest.raises(NetworkError, match="60 minutes"):
        run.fetch(CUT, faults.status(429, retry_after=3600))
    assert (len(run.retries), run.sink.received) == (1, HALF)


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_so_many_retries_and_no_more(run: Run, retries: int) -> None:
    """Each is told with its number."""
    with pytest.raises(NetworkError, match="503"):
        run.fetch(faults.status(503), retries=retries)
    told = [(event.attempt, event.attempts) for event in run.events if isinstance(event, Retrying)]
    assert told == [(number, retries) for number in range(1, retries + 1)]
    assert len(run.asked) == retries + 1


def test_a_mebibyte_of_progress_makes_the_retries_start_anew(server: FaultyServer, run: Run) -> None:
    """More cuts than retries, each after more than a MiB."""
    data = bytes(6 << 20)
    url = server.serve("/m.gguf", data, faults=[faults.cut(1_500_000)])
    sink = MemorySink(size=len(data))
    artifact = Artifact("m.gguf", (url,))
    Fetch(
        Client(), artifact, sink, retries=1, token=run.token, emit=run.events.append, tell=run.told.append,
        check=lambda: None,
    ).run()  # fmt: skip
    assert bytes(sink.data) == data
    assert len(run.retries) > 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.status(404), ResolveError),
        (faults.status(403), ResolveError),
        (faults.login_page(), IntegrityError),
        (faults.gzipped(), NetworkError),
        (faults.garbage(), NetworkError),
        (faults.huge_headers(), NetworkError),
        (faults.redirect("/m.gguf"), NetworkError),
    ],
)
def test_what_no_retry_can_help_ends_at_once(run: Run, fault: faults.Fault, error: type[Exception]) -> None:
    """No second request, no byte in the sink."""
    with pytest.raises(error):
        run.fetch(fault)
    assert (run.retries, run.sink.received) == ([], 0)


def test_an_expired_address_is_resolved_again_from_the_origin(server: FaultyServer) -> None:
    """A 403 where the origin had sent us costs a retry, not the download."""
    there = server.url("/signed", host="localhost")
    server.serve("/signed", DATA, faults=[CUT, faults.status(403), OK])
    run = Run(server, MemorySink(size=len(DATA)))
    run.fetch(faults.hub_redirect(there, DATA))
    proved(run)
    assert len(server.exchanges("/m.gguf")) == len(server.exchanges("/signed")) == 3
    assert [remote.sha256 is not None for remote in run.sink.remotes] == [True, True]


def test_progress_is_told_and_ends_with_all(server: FaultyServer) -> None:
    """It rises, knows the total, and its last word is that all is there."""
    run = Run(server, MemorySink())
    run.fetch(faults.trickle(1 << 20))
    progress = [event for event in run.events if isinstance(event, Progress)]
    assert progress == run.told
    assert [event.done for event in progress] == sorted({event.done for event in progress})
    assert len(progress) > 3
    assert (progress[-1].done, progress[-1].total) == (len(DATA), len(DATA))


def test_what_is_all_there_needs_no_server(server: FaultyServer) -> None:
    """A part that is complete already is not asked for."""
    run = Run(server, MemorySink(size=len(DATA), there=DATA))
    run.fetch()
    assert run.asked == []


@pytest.mark.parametrize("fault", [faults.stall(HALF), faults.stall_head(), faults.trickle(50_000), faults.status(503)])
def test_the_wish_to_stop_ends_it_at_once(run: Run, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it reads, waits for an answer, or waits for a retry; nothing is written afterwards."""
    monkeypatch.setattr(retry, "LONGEST_S", 60.0)
    monkeypatch.setattr(speed, "STALL_S", 60.0)
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


def test_trouble_behind_the_sink_ends_it_at_once(server: FaultyServer) -> None:
    """What `check` raises is the error of the fetch, though the network waits."""
    sink = MemorySink()
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)])

    def check() -> None:
        if server.stalled.is_set():
            raise IntegrityError("the disk is full, say")

    fetch = Fetch(
        Client(), Artifact("m.gguf", (url,)), sink, retries=3, token=CancelToken(), emit=lambda _: None,
        tell=lambda _: None, check=check,
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="disk is full"):
        fetch.run()
    wait_until(lambda: not sink.leased)


def test_a_bug_is_not_swallowed(server: FaultyServer) -> None:
    """An unforeseen exception in a worker is raised where the fetch was called."""

    class Broken(MemorySink):
        def write(self, lease: Lease, data: bytes) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Run(server, Broken()).fetch(OK)
