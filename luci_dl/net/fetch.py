"""Fetches one file: runs the workers, retries, and reports the progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from luci_dl.cancel import CancelToken
from luci_dl.errors import IntegrityError, LuciError, StorageError
from luci_dl.events import Emit, Progress, Retrying, Warned
from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.origin import host_of
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.rate_meter import RateMeter, SilenceWatch
from luci_dl.net.retry import AttemptFailed, OutOfResources, Remedy, RetryBudget, Silent
from luci_dl.net.slots import Slots
from luci_dl.net.tune import Tuner
from luci_dl.net.worker_pool import WorkerPool
from luci_dl.plan import Sink

TICK_S = 0.1
"""The time between two progress reports."""
PAUSE_S = 1.0
"""After one of several connections failed, none is added for this long, unless the server asks for another time."""
MAX_PAUSE_S = 60.0
_PERMANENT = (Remedy.NO_RANGES, Remedy.PROBE, Remedy.ELSEWHERE)
_ENDLESS = 1 << 30
"""Retries, when time counts instead."""
_ATTEMPTS = 10
"""How often a server is tried, at least, before the patience with it is over."""

Report = Callable[[Progress], None]


class Fetch:
    """One artifact into one sink. The calling thread waits, reports and decides; workers transfer the bytes.

    Args:
        retries: consecutive failures allowed.
        connections: how many; None to find out by measuring.
        limiter, slots: of the whole process.
        threads: whether every connection has a thread. Else the calling thread works for the first one, and notices a
            cancelled token only with the next block: for small files, and callers that need not answer.
        check: called repeatedly; raises the errors of the threads behind the sink, or any other to end the fetch.
        patience: seconds without a byte after which it ends, or sooner if the server says why it sends nothing, or if
            the file starts over twice, for somebody else can be asked. None: only `retries` count.
        report: called with each progress, in addition to `emit`.
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
        report: Report,
        check: Callable[[], None],
        connections: int | None = 1,
        limiter: RateLimiter | None = None,
        slots: Slots | None = None,
        threads: bool = True,
        patience: float | None = None,
    ) -> None:
        self._artifact = artifact
        self._sink = sink
        self._tuner = Tuner(connections)
        slots = slots or Slots(self._tuner.most)
        self._pool = WorkerPool(client, artifact, sink, self._tuner, limiter or RateLimiter(), slots, threads)
        self._budget = RetryBudget(retries, sink.received)
        if patience is not None:
            self._budget = RetryBudget(_ENDLESS, sink.received, max_delay=patience / _ATTEMPTS)
        self._silence = None if patience is None else SilenceWatch(patience, time.monotonic())
        self._restarts = sink.restarts
        self._last_failure = ""
        self._token = token
        self._emit = emit
        self._report = report
        self._check = check
        self._meter = RateMeter()
        self._reported = -1  # bytes at the last report
        self._pause_until = 0.0
        self._said_fewer = False

    def run(self) -> None:
        """Fetch all missing bytes.

        Raises: LuciError. Then the workers lose their right to write soon, and the sink keeps what it has.
        """
        try:
            while not self._is_complete():
                self._step(time.monotonic())
                self._pool.wait(TICK_S)
                self._token.check()
                self._check()
                self._report_progress()
                self._check_patience()
            self._report_progress()  # the last bytes may have come after the last report
            self._pool.settle(TICK_S)
        finally:
            self._pool.stop()

    def _check_patience(self) -> None:
        """Raises: Silent, when the patience is over; IntegrityError, when the bytes that came are dropped again."""
        silence, host = self._silence, host_of(self._artifact.urls[0])
        if silence is None:
            return
        if self._sink.restarts > self._restarts + 1:
            raise IntegrityError(f"{host} sends {self._artifact.name} again and again, and never to its end")
        if silence.is_over(time.monotonic(), self._sink.received, self._pool.waits):
            reason = f" ({self._last_failure})" if self._last_failure else ""
            raise Silent(f"{host} has sent nothing for {silence.limit_s:g} s{reason}")

    def _is_complete(self) -> bool:
        return self._sink.size is not None and self._sink.received >= self._sink.size

    def _step(self, now: float) -> None:
        failures = [failure for url, error in self._pool.reap(now) if (failure := self._failure(url, error))]
        if failures:
            self._pause_until = now + self._pause_after(failures, now)
        if now >= self._pause_until and not self._is_complete():
            try:
                self._pool.scale(now)
            except OutOfResources as failure:
                self._pause_until = now + self._pause_after([failure], now)

    def _failure(self, url: str, error: Exception | None) -> AttemptFailed | None:
        """The failure to retry after; None without one, or when another mirror takes over. Raises: all other errors."""
        if error is None:
            return None
        failure = error if isinstance(error, AttemptFailed) else None
        if failure is None and (isinstance(error, StorageError) or not isinstance(error, LuciError)):
            raise error
        if isinstance(failure, OutOfResources):
            return failure
        if url not in self._pool.mirrors.urls:
            return None
        if isinstance(error, LuciError) and self._pool.may_pass(url):
            failure = AttemptFailed(error.message, hint=error.hint, final=error)
        permanent = failure is None or failure.remedy in _PERMANENT
        if self._pool.mirrors.record_failure(url, permanent):
            self._emit(Warned(f"{url} is no longer used: {error}"))
            return None
        if failure is None:
            raise error
        if failure.final and (self._silence or failure.remedy is Remedy.ELSEWHERE):
            raise failure.final
        self._pool.apply(failure.remedy, url)
        return failure

    def _pause_after(self, failures: Sequence[AttemptFailed], now: float) -> float:
        """Seconds without new connections. Raises: NetworkError, when no worker and no retry is left."""
        worst = max(failures, key=lambda failure: failure.retry_after or 0.0)
        if len(self._pool):
            is_local = any(isinstance(failure, OutOfResources) for failure in failures)
            if not is_local and (worst.remedy is Remedy.FRESH_ADDRESS or len(self._pool.mirrors.urls) > 1):
                return 0.0  # the next attempt goes to another address
            self._tuner.reduce(len(self._pool), now)
            self._say_fewer(worst)
            return min(worst.retry_after or PAUSE_S, MAX_PAUSE_S)
        if worst.remedy is Remedy.FEWER:
            self._tuner.reduce(1, now)
        else:
            self._tuner.recover(now)
        name = self._artifact.name
        delay = self._budget.record_failure(worst, name)
        self._last_failure = worst.reason
        if self._silence is None:
            self._emit(Retrying(name, worst.reason, delay, self._budget.failures, self._budget.retries))
        return delay

    def _say_fewer(self, failure: AttemptFailed) -> None:
        """Say once that ranges are refused while another connection is served."""
        if failure.remedy is Remedy.NO_RANGES and not self._said_fewer:
            self._said_fewer = True
            self._emit(Warned(f"{self._artifact.name}: {failure.reason}; continuing without more connections"))

    def _report_progress(self) -> None:
        received = self._sink.received
        self._budget.record_progress(received)
        rate = self._meter.add(time.monotonic(), received)
        if received < self._reported:
            reason = "the file changed, or the server does not support ranges"
            self._emit(Warned(f"{self._artifact.name}: the download cannot be resumed ({reason}); starting over"))
        if received != self._reported:
            self._reported = received
            progress = Progress(self._artifact.name, received, self._sink.size, rate)
            self._emit(progress)
            self._report(progress)
