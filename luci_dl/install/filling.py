"""Fills the parts of one model, several side by side; the first failure ends it for all."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from luci_dl.cancel import CancelToken, start_thread
from luci_dl.disk.part import Part
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import StorageError
from luci_dl.events import Emit, Event, Progress, SmallFiles, Warned
from luci_dl.frozen import frozen
from luci_dl.install.actions import Copy, Fetch
from luci_dl.install.context import InstallContext
from luci_dl.install.shards import missing_shards
from luci_dl.plan import Plan

FILES = 32
"""Files of all models that are filled at the same time, if the user names no number of connections: small ones wait
most of the time, for a redirect, an answer, the disk."""
FEW = 8
"""Small files that are not announced together."""
LARGE_FILES = 4
"""Of these, files that are not small: each needs threads and memory of its own."""
LARGE_BYTES = 24 << 20
"""Bytes of the files that are fetched beside each other and are not small; one that has more is fetched alone."""


@frozen
class Job:
    """One part, and what to fill it with."""

    action: Fetch
    part: Part


@frozen
class Filled:
    """A part with all its bytes, verified. `fetched` of them came from servers; `copied`: some from this machine."""

    fetched: int
    copied: bool


def fill_all(plan: Plan, jobs: Sequence[Job], transaction: Transaction, context: InstallContext) -> list[Filled]:
    """Fill and verify all parts of the model beside the calling thread, which only waits.

    Returns: one for each job, in order. Raises: the first error; Interrupted. Threads that are at work then lose their
        right to write when the transaction ends, and are heard no more.
    """
    token, tap = CancelToken(), _Tap(context.emit)
    filling = _Filling(plan, jobs, transaction, replace(context, token=token, emit=tap))
    small = [job.part for job in jobs if not job.part.has_journal]
    if len(small) > FEW:
        names = tuple(part.artifact.name for part in small)
        context.emit(SmallFiles(plan.reference, names, sum(part.size or 0 for part in small)))
    try:
        if not filling.start(max(1, (context.options.connections or FILES) // context.options.jobs)):
            filling = _Filling(plan, jobs, transaction, context)
            filling.work()
        context.token.wait_for(filling.over)
    finally:
        tap.close()
        filling.end()
        token.cancel(context.token.signum)
    if filling.errors:
        raise filling.errors[0]
    return [filling.filled[job.part] for job in jobs]


class _Filling:
    """Workers that take one job after the other.

    Attributes:
        over: set when all jobs are done, or one has failed.
    """

    def __init__(self, plan: Plan, jobs: Sequence[Job], transaction: Transaction, context: InstallContext) -> None:
        self.over = threading.Event()
        self.errors: list[BaseException] = []
        self.filled: dict[Part, Filled] = {}
        self._plan = plan
        self._transaction = transaction
        self._context = context
        self._jobs = jobs
        self._large = deque(job for job in jobs if job.part.has_journal)
        self._small = deque(job for job in jobs if not job.part.has_journal)
        self._fetching: list[Part] = []  # of the large ones
        self._workers = 0
        self._changed = threading.Condition()  # guards all of these

    def start(self, at_most: int) -> int:
        """Start up to that many workers. Returns: how many the system allowed."""
        started = 0
        with contextlib.suppress(StorageError):
            while started < min(at_most, len(self._jobs)):
                start_thread(self.work, "luci-file")
                started += 1
        return started

    def work(self) -> None:
        """Take one job after the other, until none is left or one has failed."""
        with self._changed:
            self._workers += 1
        try:
            while job := self._take():
                self._finish(job, self._fill(job))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self.errors.append(error)
            self.end()

    def _take(self) -> Job | None:
        """The next large one if there is room for it, so that none waits for all small ones; else a small one.

        Returns: None when all are taken, or it is over; also if others suffice for the large ones that are left.
        """
        with self._changed:
            if not self._small and self._workers > LARGE_FILES:
                self._workers -= 1
                return None
            self._changed.wait_for(lambda: self.over.is_set() or self._small or not self._large or self._has_room())
            if self.over.is_set():
                return None
            if self._large and self._has_room():
                self._fetching.append(self._large[0].part)
                return self._large.popleft()
            return self._small.popleft() if self._small else None

    def _has_room(self) -> bool:
        """Whether the next large one can be fetched beside the others."""
        beside = [*self._fetching, self._large[0].part]
        sizes = [LARGE_BYTES if part.size is None else part.size for part in beside]
        return len(sizes) == 1 or (len(sizes) <= LARGE_FILES and sum(sizes) <= LARGE_BYTES)

    def _make_room(self, part: Part) -> None:
        """The next one begins while this one is hashed and synced to its end."""
        with self._changed:
            if part in self._fetching:
                self._fetching.remove(part)
                self._changed.notify_all()

    def _finish(self, job: Job, filled: Filled) -> None:
        self._make_room(job.part)
        self.filled[job.part] = filled
        if len(self.filled) == len(self._jobs):
            self.end()

    def end(self) -> None:
        """Let no worker take another job."""
        with self._changed:
            self.over.set()
            self._changed.notify_all()

    def _fill(self, job: Job) -> Filled:
        part, fetched = job.part, 0
        report = partial(self._report, part)
        copied = self._copy(job.action, part, report)
        if copied:
            part.verify(self._context.token)
        else:
            from luci_dl.install.fetching import fetch_into  # not loaded if all is copied

            fetched = fetch_into(part, self._context, report)
        self._report_missing_shards(part)
        return Filled(fetched, copied)

    def _copy(self, action: Fetch, part: Part, report: Callable[[Progress], None]) -> bool:
        """Fill the part from a copy on this machine. Returns: False if nothing was copied."""
        if not isinstance(action, Copy) or (part.received == part.size and not part.cloned):
            return False
        from luci_dl.install.copying import copy_into

        return copy_into(part, action.copies, self._context, report)

    def _report_missing_shards(self, part: Part) -> None:
        if missing := missing_shards(part.staging, (artifact.name for artifact in self._plan.artifacts)):
            self._context.emit(Warned(missing))

    def _report(self, part: Part, progress: Progress) -> None:
        """To those who wait for the lock."""
        if progress.done == progress.total:
            self._make_room(part)
        self._transaction.report(progress.name, progress.done, progress.total, progress.rate)


class _Tap:
    """An `Emit` until it is closed."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open = True
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if self._open:
                self._emit(event)

    def close(self) -> None:
        """Pass on nothing more."""
        with self._lock:
            self._open = False
