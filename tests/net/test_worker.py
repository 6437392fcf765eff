"""One worker: who may write, and until when."""

from __future__ import annotations

import threading

from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.job import Job
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.retry import AttemptFailed, Remedy
from luci_dl.net.situation import Situation
from luci_dl.net.worker import Worker
from luci_dl.plan import Lease, Segment
from tests.net.sink import MemorySink
from tests.procs import wait_until
from tests.servers import FaultyServer, faults
from tests.servers.honest import File

DATA = bytes(range(256)) * 1200
HALF = len(DATA) // 2


class Contested(MemorySink):
    """After a restart, another worker claims the beginning first."""

    def claim(self, piece: int | None = None, within: int | None = None) -> Lease | None:
        if self.restarts:
            self._lease = Lease(Segment(1000, self.size))
            return self._lease
        return super().claim(piece, within)


def work(server: FaultyServer, sink: MemorySink, fault: faults.Fault) -> Worker:
    """A worker that fetches the second half."""
    url = server.serve("/m.gguf", DATA, faults=[fault])
    lease = sink.claim()
    assert lease
    job = Job(
        artifact=Artifact("m.gguf", (url,)),
        url=url,
        sink=sink,
        lease=lease,
        situation=Situation("m.gguf", size=sink.size, provable=sink.provable),
        whole_file=False,
        probe=False,
        location=None,
        block_size=1 << 20,
        limiter=RateLimiter(),
    )
    worker = Worker(Client(), job, threading.Event())
    worker.start()
    return worker


def test_a_worker_that_cannot_claim_the_beginning_writes_nothing(server: FaultyServer) -> None:
    """A response that begins at byte 0 is never written elsewhere."""
    sink = Contested(size=len(DATA), there=DATA[:HALF])
    worker = work(server, sink, faults.no_ranges())
    wait_until(lambda: worker.done)
    assert (worker.error, bytes(sink.data), sink.restarts) == (None, b"", 1)
    assert not sink.leased


def test_a_stop_during_a_stall_frees_the_segment_at_once(server: FaultyServer) -> None:
    """The thread may go on for a while, but its right to write is gone when `stop` returns."""
    sink = MemorySink(size=len(DATA), there=DATA[:HALF])
    worker = work(server, sink, faults.stall_head())
    assert server.stalled.wait(10)
    worker.stop()
    assert not sink.leased
    server.release()
    wait_until(lambda: worker.done)
    assert (worker.error, len(sink.data)) == (None, HALF)


class Blocking(MemorySink):
    """A sink whose disk is slow: writes wait for `go_on`, as they do for a disk that is behind."""

    def __init__(self, size: int) -> None:
        super().__init__(size=size)
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        with lease.lock:
            self.writing.set()
            assert self.go_on.wait(10)
        return super().write(lease, data)


def test_a_stop_does_not_wait_for_a_write(server: FaultyServer) -> None:
    """Whoever stops a worker has to respond to signals; the worker gives up its right after the write."""
    sink = Blocking(len(DATA))
    worker = work(server, sink, faults.trickle(1e6))
    assert sink.writing.wait(10)
    worker.stop()  # would wait for ever
    assert sink.leased
    sink.go_on.set()
    wait_until(lambda: worker.done)
    assert worker.error is None
    assert not sink.leased
    assert worker.received <= len(sink.data) < len(DATA)


def test_another_version_of_the_rest_disables_ranges(server: FaultyServer) -> None:
    """A server that ignores If-Range may have another version again next time."""
    there = {server.url("/m.gguf"): File.of(DATA).etag or ""}
    sink = MemorySink(size=len(DATA), there=DATA[:HALF], validators=there, provable=False)
    worker = work(server, sink, faults.headers(ETag='"other"'))
    wait_until(lambda: worker.done)
    assert isinstance(worker.error, AttemptFailed)
    assert worker.error.remedy is Remedy.NO_RANGES
    assert sink.restarts == 1
