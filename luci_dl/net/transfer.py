"""A worker as it is observed: its rate, whether it has stalled, and what it waits for."""

from __future__ import annotations

from luci_dl.net.mirrors import Address
from luci_dl.net.pieces import RATE_S
from luci_dl.net.rate_meter import RateMeter, StallWatch
from luci_dl.net.retry import AttemptFailed, Remedy
from luci_dl.net.worker import Worker
from luci_dl.plan import Lease


class Transfer:
    """A worker and its measurements. Is a `pieces.Piece`.

    Attributes:
        address: that it requests, before redirects.
        rate: bytes a second, over the last second.
        located: what its response says about the location was noted.
    """

    def __init__(self, worker: Worker, address: Address, now: float, timeout: float | None) -> None:
        self.worker = worker
        self.address = address
        self.began = now
        self.rate = 0.0
        self.located = worker.job.location is not None
        self._meter = RateMeter(RATE_S)
        self._stall = StallWatch(timeout)

    @property
    def lease(self) -> Lease:
        return self.worker.lease

    @property
    def is_open(self) -> bool:
        return self.worker.is_open

    @property
    def is_waiting(self) -> bool:
        return self.worker.reading

    @property
    def asks_origin(self) -> bool:
        """Whether the address may still redirect it."""
        return self.worker.job.location is None and self.worker.location is None and not self.worker.done

    @property
    def is_refused_location(self) -> bool:
        """Whether an earlier redirect's target no longer serves: a signed address expires."""
        error = self.worker.error
        is_stale = isinstance(error, AttemptFailed) and error.remedy is Remedy.FRESH_ADDRESS
        return is_stale and self.worker.job.location is not None

    def age(self, now: float) -> float:
        return now - self.worker.responded if self.worker.responded else 0.0

    def update(self, now: float) -> bool:
        """Measure the rate. Returns: whether the worker has stalled."""
        if self.worker.responded is None:  # until then, the client's own limit applies
            return False
        self.rate = self._meter.add(now, self.worker.received)
        return self._stall.is_stalled(self.worker.waited_s, self.worker.received)

    def times(self, now: float) -> tuple[float, float, float]:
        """Seconds since the response came; of these, it waited for the network, and for the sink."""
        worker = self.worker
        active_s = now - worker.responded if worker.responded else 0.0
        return active_s, worker.waited_s, worker.blocked_s
