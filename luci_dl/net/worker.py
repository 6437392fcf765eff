"""One connection at work: claims a segment, asks for it, and hands over what comes until the segment is full."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from luci_dl.artifact import Artifact
from luci_dl.errors import IntegrityError
from luci_dl.net.answers import Ask
from luci_dl.net.client import Answer, Client
from luci_dl.net.retry import AttemptFailed
from luci_dl.plan import Lease, Revoked, Sink


@dataclass(frozen=True)
class Job:
    """What a worker works at: one address of an artifact, into a sink."""

    artifact: Artifact
    url: str
    sink: Sink


class Worker:
    """One attempt, in a thread of its own.

    Attributes:
        moved: bytes it brought.
        reading: it waits for the network, not for the disk.
        error: how it ended: None when its segment is full, or there was none to claim.
    """

    def __init__(self, client: Client, job: Job, whole: bool, bell: threading.Event) -> None:
        """`whole`: ask for the whole file, since this server cannot be trusted with ranges. Rings `bell` at its end."""
        self.moved = 0
        self.reading = False
        self.error: Exception | None = None
        self._client = client
        self._job = job
        self._whole = whole
        self._bell = bell
        self._lease: Lease | None = None
        self._answer: Answer | None = None
        self._stopped = False
        threading.Thread(target=self._run, name="luci-fetch", daemon=True).start()

    def stop(self) -> None:
        """End the attempt: first its right to write, then the blocked read.

        A look-up or a wait for the headers cannot be ended; the thread lives on in it, without the right to write.
        """
        self._stopped = True
        if self._lease:
            self._job.sink.revoke(self._lease)
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
            if self._lease:
                self._job.sink.revoke(self._lease)
            if self._answer:
                self._answer.close()
            self._bell.set()

    def _attempt(self) -> None:
        sink, job = self._job.sink, self._job
        lease = self._claim()
        if lease is None:
            return
        ask = self._ask(lease)
        self.reading = True
        self._answer = self._client.get(job.artifact.name, ask, job.artifact.headers)
        self.reading = False
        offset = self._answer.body.offset
        sink.begin(lease, self._answer.remote, offset)
        if lease.revoked:  # what was there is forgotten
            lease = self._claim() if offset == 0 else None
        if lease is not None:
            self._copy(lease, self._answer)

    def _claim(self) -> Lease | None:
        """A lease that `stop` knows of. Raises: Revoked, when that came before."""
        self._lease = self._job.sink.claim()
        if self._stopped:
            raise Revoked
        return self._lease

    def _ask(self, lease: Lease) -> Ask:
        """A range only where what comes can be held against what is there; else the whole file once more."""
        url = self._job.url
        validator = self._job.sink.validator(url)
        if self._whole or not (validator or self._job.sink.provable):
            return Ask(url, 0, None, None)
        end = None if lease.end == self._job.sink.size else lease.end
        return Ask(url, lease.pos, end, validator)

    def _copy(self, lease: Lease, answer: Answer) -> None:
        sink, body = self._job.sink, answer.body
        left = body.length
        while left is None or left > 0:
            self.reading = True
            data = answer.read()
            self.reading = False
            if lease.revoked:
                raise Revoked
            if not data:
                break
            left = None if left is None else left - len(data)
            sink.write(lease, data)
            self.moved += len(data)
        if left:
            raise AttemptFailed("the connection broke off")
        if left is None and not body.delimited and not sink.provable:
            raise IntegrityError(
                f"{self._job.url} does not say how long the file is, so nobody can tell whether it is complete",
                "Give its digest with --sha256.",
            )
        if lease.end is None:
            sink.end_of_file(lease)
        elif lease.pos != lease.end:
            raise AttemptFailed(f"the file ended at byte {lease.pos} of {lease.end}")
