"""One connection at work on one segment: asks for it, and hands over what comes until the segment is full."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from luci_dl.errors import IntegrityError
from luci_dl.model import Artifact
from luci_dl.net.answers import RangeRequest
from luci_dl.net.client import Client, Response
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.retry import AttemptFailed
from luci_dl.plan import PAGE, Lease, Revoked, Sink


@dataclass(frozen=True)
class Job:
    """What a worker has to do.

    Attributes:
        url: which of the artifact's addresses to ask.
        whole: ask for the whole file, since ranges cannot be trusted there.
        alone: no other address is left, so a server without ranges has to be taken as it is.
        block: bytes to read at a time, at most.
    """

    artifact: Artifact
    url: str
    sink: Sink
    lease: Lease
    whole: bool
    alone: bool
    block: int
    pace: RateLimiter


class Worker:
    """One attempt at one segment, in a thread of its own.

    Attributes:
        moved: bytes it brought.
        reading: it waits for the network, not for the disk or the pace.
        ranges: whether the server serves ranges; None before it has answered.
        error: how it ended: None when its segment is full, or no longer its own.
    """

    def __init__(self, client: Client, job: Job, bell: threading.Event) -> None:
        """Rings `bell` at its end."""
        self.job = job
        self.moved = 0
        self.reading = False
        self.done = False
        self.ranges: bool | None = None
        self.error: Exception | None = None
        self._client = client
        self._bell = bell
        self._lease = job.lease
        self._answer: Response | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="luci-fetch", daemon=True).start()

    @property
    def lease(self) -> Lease:
        """What it writes by; another than the job's after a file had to be started over."""
        return self._lease

    def stop(self) -> None:
        """End the attempt: first its right to write, then the blocked read.

        A look-up or a wait for the headers cannot be ended; the thread lives on in it, without the right to write.
        """
        self._stopped.set()
        self.job.sink.revoke(self._lease)
        if self._answer:
            self._answer.abort()

    def _run(self) -> None:
        try:
            self._attempt()
        except Revoked:
            pass
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits
            self.error = error
        finally:
            self.job.sink.revoke(self._lease)
            if self._answer:
                self._answer.close()
            self.done = True
            self._bell.set()

    def _attempt(self) -> None:
        job, lease = self.job, self._lease
        self.reading = True
        ask = self._ask(lease)
        headers = job.artifact.headers if job.url == job.artifact.urls[0] else {}
        self._answer = self._client.get(job.artifact.name, ask, headers, job.artifact.repository)
        self.reading = False
        body = self._answer.body
        self.ranges = body.ranges and body.offset == ask.start
        if body.offset != ask.start and not job.alone:
            raise AttemptFailed("the server sends the whole file where a range was asked", no_ranges=True)
        job.sink.begin(lease, self._answer.remote, body.offset)
        if lease.revoked:  # what was there is forgotten, and only the beginning can be gone on with
            if body.offset != 0:
                raise AttemptFailed("the server has another version of the file than before", no_ranges=True)
            lease = self._claim_beginning()
        self._copy(lease, self._answer)

    def _claim_beginning(self) -> Lease:
        """What is missing from byte 0 on. Raises: Revoked, when another worker was faster, or `stop` came before."""
        lease = self.job.sink.claim()
        if lease is None:
            raise Revoked
        self._lease = lease  # from here on `stop` knows of it
        if lease.pos != 0 or self._stopped.is_set():
            raise Revoked
        return lease

    def _ask(self, lease: Lease) -> RangeRequest:
        """A range only where what comes can be held against what is there; else the whole file once more."""
        url, sink = self.job.url, self.job.sink
        validator = sink.validator(url)
        if self.job.whole or not (validator or sink.provable):
            return RangeRequest(url, 0, None, None)
        return RangeRequest(url, lease.pos, None if lease.end == sink.size else lease.end, validator)

    def _copy(self, lease: Lease, answer: Response) -> None:
        job, left = self.job, answer.body.length
        while left is None or left > 0:
            data = self._read(answer, lease)
            if lease.revoked:
                raise Revoked
            if not data:
                break
            self.moved += job.sink.write(lease, data)
            if lease.pos == lease.end:
                return  # whatever else would come: the segment became shorter meanwhile, or the server does not end
            left = None if left is None else left - len(data)
            self._stopped.wait(job.pace.delay(len(data)))
        if left:
            raise AttemptFailed("the connection broke off")
        self._end_of_body(lease, answer)

    def _read(self, answer: Response, lease: Lease) -> memoryview:
        """What comes in a moment; on a fast line that is a whole block, and it ends where a page ends."""
        job, memory = self.job, self.job.sink.buffer()
        size = job.pace.block(job.block)
        size -= lease.pos % PAGE if size > PAGE else 0
        if lease.end is not None:
            one_too_many = 0 if job.sink.provable else 1  # shows a file that is longer than it should be
            size = min(size, lease.end - lease.pos + one_too_many)
        self.reading = True
        count = answer.read_into(memory[:size])
        self.reading = False
        return memory[:count]

    def _end_of_body(self, lease: Lease, answer: Response) -> None:
        if lease.end is not None:
            if lease.pos != lease.end:
                raise AttemptFailed(f"the file ended at byte {lease.pos} of {lease.end}")
            return
        if not answer.body.delimited and not self.job.sink.provable:
            raise IntegrityError(
                f"{self.job.url} does not say how long the file is, so nobody can tell whether it is complete",
                "Give its digest with --sha256.",
            )
        self.job.sink.end_of_file(lease)
