"""Fetching one file: workers that bring bytes, the patience between their attempts, and an eye on both."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from luci_dl.artifact import Artifact
from luci_dl.cancel import CancelToken
from luci_dl.events import Emit, Progress, Retrying
from luci_dl.net.client import Client
from luci_dl.net.retry import AttemptFailed, Patience
from luci_dl.net.worker import Job, Worker
from luci_dl.plan import Sink

TICK_S = 0.1
"""How often progress is told, in seconds."""
RATE_S = 4.0
"""The time over which the rate is taken, in seconds."""
STALL_S = 30.0
STALL_RATE = 1024
"""Fewer bytes a second than that, over `STALL_S` seconds of waiting for the network, are a stall."""
LONGEST_TICK_S = 1.0
"""Of a longer tick only so much counts as waiting, in seconds: the process was stopped (Ctrl+Z) meanwhile."""

Tell = Callable[[Progress], None]


class Speed:
    """Bytes a second over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, received: int) -> float:
        """The rate, when `received` bytes are there at the moment `now`."""
        samples = self._samples
        if samples and received < samples[-1][1]:
            samples.clear()  # started over
        samples.append((now, received))
        while now - samples[0][0] > RATE_S:
            samples.popleft()
        (then, before), elapsed = samples[0], now - samples[0][0]
        return (received - before) / elapsed if elapsed > 0 and then != now else 0.0


class StallWatch:
    """Notices a worker that waits for the network and gets next to nothing."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waited = 0.0
        self._moved = 0

    def is_stalled(self, passed: float) -> bool:
        """Whether the worker stalled, now that `passed` more seconds are over."""
        if self._worker.reading:
            self._waited += min(passed, LONGEST_TICK_S)
        if self._waited < STALL_S:
            return False
        brought = self._worker.moved - self._moved
        self._waited, self._moved = 0.0, self._worker.moved
        return brought < STALL_RATE * STALL_S


class Fetch:
    """One artifact into one sink. The calling thread waits, tells and decides; workers bring the bytes.

    Args:
        check: called again and again; raises what went wrong behind the sink.
        tell: called with each progress, beside `emit`.
    """

    def __init__(
        self,
        client: Client,
        artifact: Artifact,
        sink: Sink,
        *,
        retries: int,
        token: CancelToken,
        emit: Emit,
        tell: Tell,
        check: Callable[[], None],
    ) -> None:
        self._client = client
        self._job = Job(artifact, artifact.urls[0], sink)
        self._patience = Patience(retries, sink.received)
        self._token = token
        self._emit = emit
        self._tell = tell
        self._check = check
        self._speed = Speed()
        self._told = -1

    def run(self) -> None:
        """Bring every byte that is missing.

        Raises: what `errors` has for it; the sink stays as it is then, without a worker that could write.
        """
        whole = False
        while not self._is_full():
            failure = self._attempt(whole)
            if failure is None:
                continue
            whole = whole or failure.no_ranges
            delay = self._patience.failed(failure, self._job.artifact.name)
            attempt, attempts = self._patience.failures, self._patience.retries
            self._emit(Retrying(self._job.artifact.name, failure.reason, delay, attempt, attempts))
            self._token.wait(delay)
            self._token.check()
        self._progress()

    def _is_full(self) -> bool:
        sink = self._job.sink
        return sink.size is not None and sink.received >= sink.size

    def _attempt(self, whole: bool) -> AttemptFailed | None:
        bell = threading.Event()
        worker = Worker(self._client, self._job, whole, bell)
        watch, before = StallWatch(worker), time.monotonic()
        try:
            while not bell.wait(TICK_S):
                self._token.check()
                self._check()
                self._progress()
                now = time.monotonic()
                if watch.is_stalled(now - before):
                    worker.stop()
                    return AttemptFailed("the server stalled")
                before = now
        except BaseException:
            threading.Thread(target=worker.stop, name="luci-stop", daemon=True).start()  # may wait for a write
            raise
        self._patience.progressed(self._job.sink.received)
        if isinstance(worker.error, AttemptFailed):
            return worker.error
        if worker.error:
            raise worker.error
        return None

    def _progress(self) -> None:
        sink = self._job.sink
        received = sink.received
        self._patience.progressed(received)
        rate = self._speed.add(time.monotonic(), received)
        if received != self._told:
            self._told = received
            progress = Progress(self._job.artifact.name, received, sink.size, rate)
            self._emit(progress)
            self._tell(progress)
