"""One connection that fetches one segment: it requests the segment and writes what arrives to the sink."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from luci_dl.cancel import start_thread
from luci_dl.errors import StorageError, refusal
from luci_dl.net.client import Client, Response
from luci_dl.net.job import Job
from luci_dl.net.judge import check_empty
from luci_dl.net.redirects import Location
from luci_dl.net.response import RangeRequest
from luci_dl.net.retry import AttemptFailed, OutOfResources, Remedy
from luci_dl.plan import Lease, Revoked

T = TypeVar("T")


class Worker:
    """One attempt at one segment: `start` it in a thread of its own, or call `work` until it is done.

    Attributes:
        received: bytes so far.
        reading: it waits for the network, not for the disk or the rate limit.
        has_thread: it was started.
        responded: when the response came, by `time.monotonic`; None before.
        blocked_s: seconds that it waited for the sink.
        is_open: its request has no end.
        supports_ranges: whether the server supports ranges; None before it has responded.
        whole_served: the address served the whole file when a range was probed.
        served_range: the response is a range that was requested as such.
        error: why it ended; None when its segment is complete, or was taken from it.
    """

    def __init__(self, client: Client, job: Job, wakeup: threading.Event) -> None:
        """`wakeup` is set when a response comes, and when the attempt ends."""
        self.job = job
        self.received = 0
        self.reading = False
        self.done = False
        self.has_thread = False
        self.responded: float | None = None
        self.blocked_s = 0.0
        self.is_open = job.lease.end in (None, job.sink.size)
        self.supports_ranges: bool | None = None
        self.whole_served = False
        self.served_range = False
        self.error: Exception | None = None
        self._client = client
        self._wakeup = wakeup
        self._lease = job.lease
        self._response: Response | None = None
        self._stopped = threading.Event()
        self._steps = self._run()

    @property
    def lease(self) -> Lease:
        """Its current right to write: the job's lease at first, replaced when the download restarts."""
        return self._lease

    @property
    def location(self) -> Location | None:
        """Where the response came from, after redirects; None before it came."""
        return self._response.location if self._response else None

    @property
    def waited_s(self) -> float:
        """Seconds that it waited for the network, since the response came."""
        return self._response.waited if self._response else 0.0

    @property
    def round_trip_s(self) -> float:
        """Of its connection; 0 when unknown."""
        return (self._response.round_trip if self._response else None) or 0.0

    def start(self) -> None:
        """Work in a thread. Raises: OutOfResources, when the system refuses it; then the job's lease is still valid."""
        try:
            start_thread(lambda: deque(self._steps, maxlen=0), "luci-fetch")
        except StorageError as error:
            raise OutOfResources(error.message) from error
        self.has_thread = True

    def work(self) -> None:
        """Fetch the next block, or end the attempt, in the calling thread."""
        next(self._steps, None)

    def stop(self) -> None:
        """End the attempt: first its right to write, then the blocked read. Never waits.

        A worker that is inside the sink, where a write may wait for the disk, gives up the right itself right after.
        A name look-up or a wait for the headers cannot be ended; the thread stays in it, without the right to write.
        """
        self._stopped.set()
        if self.reading:  # it looks at `_stopped` before it enters the sink, so this does not wait for a write
            self.job.sink.revoke(self._lease)
        if self._response:
            self._response.abort()
        if not self.has_thread:
            self.work()

    def _run(self) -> Iterator[None]:
        """The attempt, one block at a time."""
        try:
            yield from self._attempt()
        except Revoked:
            pass
        except Exception as error:  # noqa: BLE001 - raised by the thread that runs the fetch
            refused = refusal(error)
            self.error = OutOfResources(refused.message) if refused else error
        finally:
            self.job.sink.revoke(self._lease)
            if self._response:
                self._response.close()
            self.done = True
            self._wakeup.set()

    def _attempt(self) -> Iterator[None]:
        job, lease = self.job, self._lease
        request = job.request(lease)
        self._response = self._probed(request) if job.probe and not request.is_whole else self._get(request)
        info = self._response.info
        self.supports_ranges = info.supports_ranges and info.offset == request.start
        self.served_range = info.is_range and not request.is_whole
        job.sink.begin(lease, self._response.remote, info.offset)
        self.responded = time.monotonic()
        self._wakeup.set()
        if lease.revoked:  # the sink discarded all bytes, and only the beginning can be written
            if info.offset != 0:
                raise AttemptFailed("the server has another version of the file", remedy=Remedy.NO_RANGES)
            lease = self._claim_beginning()
        yield from self._copy(lease, self._response)

    def _get(self, request: RangeRequest) -> Response:
        return self._outside_sink(lambda: self.job.get(self._client, request))

    def _probed(self, request: RangeRequest) -> Response:
        """The response to the request; the whole file if the address refuses nothing but the range.

        Raises: AttemptFailed and LuciError, for a refusal of the whole file.
        """
        whole = self._response = self._get(RangeRequest(request.url, 0, None, plain=True))
        self.whole_served = True
        try:
            response = self._get(request)
        except AttemptFailed as failure:
            if failure.remedy in (Remedy.PROBE, Remedy.NO_RANGES):
                return whole
            raise
        whole.close()
        return response

    def _claim_beginning(self) -> Lease:
        """Claim what is missing from byte 0 on. Raises: Revoked, when another worker or `stop` claimed it first."""
        lease = self.job.sink.claim()
        if lease is None:
            raise Revoked
        self._lease = lease  # from here on `stop` revokes it
        if lease.pos != 0 or self._stopped.is_set():
            raise Revoked
        return lease

    def _copy(self, lease: Lease, response: Response) -> Iterator[None]:
        job, left = self.job, response.info.length
        while left is None or left > 0:
            data = self._read(response, lease, left)
            if lease.revoked:
                raise Revoked
            if not data:
                break
            left = None if left is None else left - len(data)
            if not self._write(lease, data, left != 0):
                return  # more may follow: the segment was shortened meanwhile, or the server does not end
            self._stopped.wait(job.limiter.delay(len(data)))
            yield
        if left:
            raise AttemptFailed("the connection was lost")
        self._end_of_body(lease, response)

    def _write(self, lease: Lease, data: bytes | memoryview, has_more: bool) -> bool:
        """Write one block, beyond the end of the lease too if what follows is free. False when the lease is complete.

        Args:
            has_more: the response has more than that.
        """
        began = time.monotonic()
        try:
            while True:
                taken = self.job.sink.write(lease, data)
                self.received += taken
                if lease.pos != lease.end:
                    return True
                data = bytes(data[taken:])
                if not (has_more or data) or not self.job.sink.extend(lease):
                    return False
                if not data:
                    return True
        finally:
            self.blocked_s += time.monotonic() - began

    def _read(self, response: Response, lease: Lease, left: int | None) -> memoryview:
        """Read one block."""
        job, memory = self.job, self.job.sink.buffer(lease)
        size = job.limiter.block_size(job.block_size)
        if lease.end is not None:
            is_last = lease.end == job.sink.size and not job.sink.provable
            size = min(size, lease.end - lease.pos + is_last)  # a byte more shows that a file is longer than it says
        if response.info.is_range and left is not None:
            size = min(size, left)
        count = self._outside_sink(lambda: response.read_into(memory[:size]))
        return memory[:count]

    def _outside_sink(self, wait: Callable[[], T]) -> T:
        """Wait for the network. Raises: Revoked, when `stop` was called: before, or meanwhile."""
        self.reading = True
        if self._stopped.is_set():
            raise Revoked
        result = wait()
        self.reading = False
        if self._stopped.is_set():
            raise Revoked
        return result

    def _end_of_body(self, lease: Lease, response: Response) -> None:
        if not lease.pos:
            check_empty(self.job.request(lease), self.job.situation)
        if response.info.is_range:
            self.job.check_rest(lease)
            return
        if lease.pos != lease.end:
            self.job.sink.end_of_file(lease, certain=response.info.delimited)
        if lease.pos != lease.end:
            raise AttemptFailed(f"the file ended at byte {lease.pos} of {lease.end}")
