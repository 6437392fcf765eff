"""Fetching one file: a crew that brings the bytes, patience when it fails, and word of how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from luci_dl.cancel import CancelToken
from luci_dl.errors import LuciError, StorageError
from luci_dl.events import Emit, Progress, Retrying, Warned
from luci_dl.model import Artifact
from luci_dl.net.client import Client
from luci_dl.net.rate_limiter import RateLimiter
from luci_dl.net.rate_meter import RateMeter
from luci_dl.net.retry import AttemptFailed, RetryBudget
from luci_dl.net.tune import Tuner
from luci_dl.net.worker_pool import WorkerPool
from luci_dl.plan import Sink

TICK_S = 0.1
"""How often progress is told, in seconds."""
REST_S = 1.0
"""How long no connection is added after one failed while others went on, in seconds; a server may ask for more."""

Tell = Callable[[Progress], None]


class Fetch:
    """One artifact into one sink. The calling thread waits, tells and decides.

    Args:
        retries: failures in a row that are forgiven.
        connections: how many; None to find out by measuring.
        pace: of the whole process.
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
        connections: int | None = 1,
        pace: RateLimiter | None = None,
    ) -> None:
        self._artifact = artifact
        self._sink = sink
        self._tuner = Tuner(connections)
        self._crew = WorkerPool(client, artifact, sink, self._tuner, pace or RateLimiter())
        self._patience = RetryBudget(retries, sink.received)
        self._token = token
        self._emit = emit
        self._tell = tell
        self._check = check
        self._speed = RateMeter()
        self._told = -1
        self._rest_until = 0.0

    def run(self) -> None:
        """Bring every byte that is missing.

        Raises: what `errors` has for it; no worker has the right to write for long then, and the sink stays as it is.
        """
        try:
            while not self._is_full():
                self._go_on(time.monotonic())
                self._crew.bell.wait(TICK_S)
                self._crew.bell.clear()
                self._token.check()
                self._check()
                self._progress()
        finally:
            # Beside this thread, which has to answer a signal: it may wait for a write.
            threading.Thread(target=self._crew.stop, name="luci-stop", daemon=True).start()

    def _is_full(self) -> bool:
        return self._sink.size is not None and self._sink.received >= self._sink.size

    def _go_on(self, now: float) -> None:
        failures = [failure for url, error in self._crew.ended(now) if (failure := self._judge(url, error))]
        if failures:
            self._rest_until = now + self._rest_after(failures, now)
        if now >= self._rest_until and not self._is_full():
            self._crew.scale(now)

    def _judge(self, url: str, error: Exception | None) -> AttemptFailed | None:
        """What may go better next time. Raises: what will not, unless another mirror is left."""
        if error is None:
            return None
        failure = error if isinstance(error, AttemptFailed) else None
        if failure is None and (isinstance(error, StorageError) or not isinstance(error, LuciError)):
            raise error
        if url not in self._crew.mirrors.urls:
            return None
        if self._crew.mirrors.failed(url, for_good=failure is None or failure.no_ranges):
            self._emit(Warned(f"{url} is not asked any more: {error}"))
            return None
        if failure is None:
            raise error
        if failure.no_ranges:
            self._crew.distrust_ranges()
        return failure

    def _rest_after(self, failures: Sequence[AttemptFailed], now: float) -> float:
        """Seconds without new connections. Raises: NetworkError, when nobody is at work and patience is at its end."""
        worst = max(failures, key=lambda failure: failure.retry_after or 0.0)
        if len(self._crew):
            if not worst.crowded or len(self._crew.mirrors.urls) > 1:
                return 0.0  # the next attempt goes elsewhere
            self._tuner.refused(len(self._crew), now)
            return min(worst.retry_after or REST_S, 60.0)
        if worst.busy:
            self._tuner.refused(1, now)
        else:
            self._tuner.lost(now)
        name = self._artifact.name
        delay = self._patience.failed(worst, name)
        self._emit(Retrying(name, worst.reason, delay, self._patience.failures, self._patience.retries))
        return delay

    def _progress(self) -> None:
        received = self._sink.received
        self._patience.progressed(received)
        rate = self._speed.add(time.monotonic(), received)
        if received < self._told:
            began = "what was begun cannot be gone on with"
            self._emit(Warned(f"{self._artifact.name}: {began} (another version, or no ranges); starting over"))
        if received != self._told:
            self._told = received
            progress = Progress(self._artifact.name, received, self._sink.size, rate)
            self._emit(progress)
            self._tell(progress)
