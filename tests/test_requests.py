"""How many requests a file takes, to whom they go, and how many connections there are."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import luci_dl
from luci_dl.cli.demo_gguf import make_gguf
from luci_dl.disk.part_sink import PartSink
from luci_dl.events import Event, Retrying, Warned
from luci_dl.net import pieces, retry, worker_pool
from luci_dl.net.tune import MAX_CONNECTIONS
from luci_dl.net.worker import Worker
from luci_dl.plan import Lease, Options
from tests.interrupting import assert_nothing_left
from tests.servers import FaultyServer, faults
from tests.servers.honest import Answer
from tests.servers.server import Exchange
from tests.servers.signed import SignedAddress

KIB = 1 << 10
PIECE = 64 * KIB
DATA = make_gguf(3_000_001)
DIGEST = hashlib.sha256(DATA).hexdigest()
WHOLE = "bytes=0-"
SLOW = faults.trickle(400e3)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces and blocks hundreds of times smaller."""
    monkeypatch.setattr(pieces, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(pieces, "MIN_PIECE_BYTES", PIECE // 4)
    monkeypatch.setattr(worker_pool, "BLOCK_BYTES", 256 * KIB)
    monkeypatch.setattr(retry, "MAX_DELAY_S", 0.01)


def install(folder: Path, *urls: str, connections: int | None, jobs: int = 1) -> list[Event]:
    """Install the file from each address. Returns: the retries and warnings."""
    events: list[Event] = []
    words = [f"{url}#sha256={DIGEST}" for url in urls]
    options = Options(connections=connections, jobs=jobs, min_free=0)
    for path in luci_dl.install(*words, folder=folder, options=options, emit=events.append):
        assert path.read_bytes() == DATA
    assert_nothing_left(folder, *(url.rpartition("/")[2] for url in urls))
    return [event for event in events if isinstance(event, Retrying | Warned)]


class Counter:
    """Counts the responses on their way.

    Attributes:
        peak: the most there were at once.
    """

    def __init__(self) -> None:
        self.peak = self._running = 0
        self._lock = threading.Lock()

    def counted(self, answer: Answer) -> Answer:
        self._count(1)
        return dataclasses.replace(answer, done=(lambda: self._count(-1),))

    def _count(self, step: int) -> None:
        with self._lock:
            self._running += step
            self.peak = max(self.peak, self._running)


def requested(exchange: Exchange) -> int:
    """Bytes that were requested, by Range."""
    first, _, last = exchange.headers["range"].removeprefix("bytes=").partition("-")
    return (int(last) + 1 if last else len(DATA)) - int(first)


# --- the origin


def redirected(server: FaultyServer, *answers: faults.Fault, origin: Sequence[faults.Fault] = ()) -> str:
    """The address of an origin that redirects to another host, until it answers by `origin`."""
    server.serve("/there", DATA, answers)
    return server.serve("/m.gguf", faults=[faults.redirect(server.url("/there", host="localhost")), *origin])


def test_the_origin_is_asked_once(server: FaultyServer, tmp_path: Path) -> None:
    """Where it redirects to serves all sixteen connections."""
    assert install(tmp_path, redirected(server, SLOW), connections=16) == []
    assert len(server.exchanges("/m.gguf")) == 1
    assert len(server.exchanges("/there")) > 16


def test_an_origin_with_too_many_requests_stops_nobody(server: FaultyServer, tmp_path: Path) -> None:
    """Not even where connections are lost: what lies behind the redirect serves."""
    lost = [faults.cut(20_000), SLOW, SLOW] * 4
    url = redirected(server, *lost, SLOW, origin=[faults.status(429, retry_after=60)])
    assert install(tmp_path, url, connections=16) == []
    assert len(server.exchanges("/m.gguf")) == 1


def test_an_expired_address_is_replaced_by_one_request(server: FaultyServer, tmp_path: Path) -> None:
    """Many connections are refused, and one asks the origin for all, while others are still served."""
    signed = SignedAddress(server)
    server.serve("/signed", DATA, faults=[signed.fault(signed.answer)])
    server.serve("/fresh", DATA)
    url = server.serve("/m.gguf", b"", faults=[signed.fault(signed.redirect)])
    assert install(tmp_path, url, connections=16) == []
    refused = [exchange.status for exchange in server.exchanges("/signed")].count(403)
    assert 1 < refused < 16, "each connection at most once"
    assert len(server.exchanges("/m.gguf")) == 2


def test_an_address_that_is_good_for_one_request_serves(server: FaultyServer, tmp_path: Path) -> None:
    """Each refusal leads back to the origin, which gives another address."""
    numbers = iter(range(1_000_000))

    def redirect(answer: Answer) -> Answer:
        location = server.url(f"/there?{next(numbers)}", host="localhost")
        return dataclasses.replace(answer, status=302, headers={"Location": location})

    server.serve("/there", DATA, [faults.expires(1, faults.status(403)) + SLOW])
    url = server.serve("/m.gguf", faults=[faults.Fault(on_answer=redirect)])
    assert install(tmp_path, url, connections=4) == []
    refused = [exchange.status for exchange in server.exchanges()].count(403)
    assert 1 < refused <= 2 * 3, "then each connection asks for an address of its own"


def test_a_store_that_refuses_a_second_connection_is_not_asked_over_and_over(
    server: FaultyServer, tmp_path: Path
) -> None:
    """As if its address had expired: the origin's fresh ones change nothing."""
    one_at_a_time = faults.further(1, faults.status(403)) + faults.trickle(20e6)
    install(tmp_path, redirected(server, one_at_a_time), connections=4)
    assert [exchange.status for exchange in server.exchanges()].count(403) <= 2 * 3


# --- pieces


@pytest.mark.parametrize("connections", [2, 4, 16])
def test_no_healthy_transfer_is_cut_off(server: FaultyServer, tmp_path: Path, connections: int) -> None:
    """Every response but the first, which has no end, is read to its end; and there are few of them."""
    url = server.serve("/m.gguf", DATA, [faults.trickle(1e6)])
    assert install(tmp_path, url, connections=connections) == []
    first, *others = server.exchanges()
    assert first.headers["range"] == WHOLE
    assert all(exchange.sent == requested(exchange) for exchange in others)
    assert connections <= len(others) + 1 <= 16 + len(DATA) / PIECE


# --- connections


def test_one_connection_needs_one_request(server: FaultyServer, tmp_path: Path) -> None:
    """For the file from its first byte on, however long it is."""
    assert install(tmp_path, server.serve("/m.gguf", DATA), connections=1) == []
    assert [exchange.headers["range"] for exchange in server.exchanges()] == [WHOLE]


def test_a_throttled_server_is_given_many_connections_soon(server: FaultyServer, tmp_path: Path) -> None:
    """With `auto`, all of them within two seconds."""
    url = server.serve("/m.gguf", DATA, [faults.trickle(200e3)])
    assert install(tmp_path, url, connections=None) == []
    times = [exchange.at for exchange in server.exchanges()]
    assert times[MAX_CONNECTIONS - 1] - times[0] < 2


def test_a_queue_before_the_line_gets_no_more_connections(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the second connection takes much longer to be made than the first one did, it is the last one for a while."""
    times = itertools.chain([0.001], itertools.repeat(0.1))
    took: dict[Worker, float] = {}

    def round_trip_s(self: Worker) -> float:
        return took.setdefault(self, next(times)) if self.responded and self not in took else took.get(self, 0.0)

    monkeypatch.setattr(Worker, "round_trip_s", property(round_trip_s))
    counter = Counter()
    url = server.serve("/m.gguf", DATA, [faults.trickle(1e6) + faults.Fault(on_answer=counter.counted)])
    assert install(tmp_path, url, connections=None) == []
    assert counter.peak == 2


def test_a_slow_disk_gets_no_more_connections(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `auto`, one is enough for what it takes."""
    write = PartSink.write

    def slow(self: PartSink, lease: Lease, data: bytes | memoryview) -> int:
        time.sleep(len(data) / 1e6)
        return write(self, lease, data)

    monkeypatch.setattr(PartSink, "write", slow)
    monkeypatch.setattr(worker_pool, "BLOCK_BYTES", 16 * KIB)
    assert install(tmp_path, server.serve("/m.gguf", DATA, [faults.trickle(10e6)]), connections=None) == []
    assert len(server.exchanges()) == 1


@pytest.mark.parametrize(("connections", "most"), [(None, MAX_CONNECTIONS), (4, 8)])
def test_all_files_together_have_so_many_connections(
    server: FaultyServer, tmp_path: Path, connections: int | None, most: int
) -> None:
    """Side by side, none of them is without one."""
    counter = Counter()
    urls = [server.serve(f"/{n}.gguf", DATA, [SLOW + faults.Fault(on_answer=counter.counted)]) for n in range(2)]
    assert install(tmp_path, *urls, connections=connections, jobs=2) == []
    assert most - 2 <= counter.peak <= most + 2, "the server sends on for a moment when a first response is left"
    assert all(len(server.exchanges(f"/{n}.gguf")) > 1 for n in range(2))
