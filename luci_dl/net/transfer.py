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
    """

    def __init__(self, worker: Worker, address: Address, now: float, timeout: float | None) -> None:
        self.worker = worker
        self.address = address
        self.began = now
        self.rate = 0.0
        self._located = worker.job.location is not None
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

    def age(self, now: float) -> float:
        return now - self.worker.responded if self.worker.responded else 0.0

    def update(self, now: float) -> bool:
        """Measure the rate. Returns: whether the worker has stalled."""
        if self.worker.responded is None:  # until then, the client's own limit applies
            return False
        self.rate = self._meter.add(now, self.worker.received)
        return self._stall.is_stalled(self.worker.waited_s, self.worker.received)

    def learn(self, now: float) -> None:
        """Note at the address what the response has shown so far."""
        worker, address = self.worker, self.address
        if worker.location and not self._located:
            self._located = True  # once: it may have been refused to others meanwhile
            address.learn_location(worker.location, now)
        address.served |= worker.received > 0
        address.range_served |= worker.received > 0 and worker.served_range

    def end(self, now: float, *, stalled: bool) -> Exception | None:
        """Note at the address how it ended. Returns: why; None if that is no failure."""
        worker, address = self.worker, self.address
        error = AttemptFailed("the server stalled") if stalled else worker.error
        remedy = error.remedy if isinstance(error, AttemptFailed) else None
        if remedy is Remedy.FRESH_ADDRESS and worker.job.location:  # a signed address expires: ask the origin again
            address.forget_location(worker.job.location, now)
            error = None
        if worker.received:
            address.barren = 0
        elif error:
            address.barren += 1
            address.in_vain += worker.whole_served
            if remedy is not Remedy.FEWER:
                address.forget_location(worker.job.location, now)
        return error

    def times(self, now: float) -> tuple[float, float, float]:
        """Seconds since the response came; of these, it waited for the network, and for the sink."""
        worker = self.worker
        active_s = now - worker.responded if worker.responded else 0.0
        return active_s, worker.waited_s, worker.blocked_s
