"""Many models: one after the other or side by side, and how it ended for each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from luci_dl.cancel import CancelToken, run_side_by_side
from luci_dl.disk import fs
from luci_dl.disk.layout import staging_folder
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import CannotHold, Interrupted, LuciError, StorageError
from luci_dl.events import (
    Deleted,
    Emit,
    Event,
    Failed,
    FallbackFolderUsed,
    Installed,
    Planned,
    Stopped,
    Summary,
    Warned,
)
from luci_dl.install.free_space import explained
from luci_dl.install.local_copies import Copies
from luci_dl.install.transfer import Installation
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan

Status = Literal["installed", "failed", "interrupted", "not started"]
_BESIDE, _EACH = 100, 3
"""Files that are open at once: connections and the like, and of each artifact its lock, part and journal."""


@dataclass(frozen=True)
class Outcome:
    """How it ended for one model. `endings` tell what became of its parts."""

    reference: str
    status: Status
    installed: Installed | None = None
    error: LuciError | None = None
    endings: tuple[Event, ...] = ()


def install_models(
    plans: Sequence[Plan],
    options: Options,
    token: CancelToken,
    emit: Emit,
    network: Network,
    copies: Copies,
) -> list[Outcome]:
    """Install every model, `options.jobs` side by side; go on after a failure, but not after a full disk or a signal.

    `copies`: where to look for files before they are fetched.

    Returns: one outcome for each plan, in their order. Emits everything that a user should read, the summary last.
    """
    total = sum(artifact.size or 0 for plan in plans for artifact in plan.artifacts)
    emit(Planned(tuple(plan.reference for plan in plans), total, any(plan.model.size is None for plan in plans)))
    fs.allow_files(_BESIDE + _EACH * options.jobs * max((len(plan.artifacts) for plan in plans), default=0))
    run = _Run(options, token, emit, network, copies)
    outcomes = run_side_by_side(run.one, plans, token, options.jobs)
    if token.cancelled and any(outcome.status in ("interrupted", "not started") for outcome in outcomes):
        emit(Stopped(token.signum))
        for outcome in outcomes:
            if outcome.status == "interrupted":
                _tell_all(outcome.endings, emit)
    if len(plans) > 1:
        emit(_summary(outcomes))
    return outcomes


class _Run:
    """Several models, each in one transaction of its own."""

    def __init__(
        self,
        options: Options,
        token: CancelToken,
        emit: Emit,
        network: Network,
        copies: Copies,
    ) -> None:
        self._options = options
        self._token = token
        self._emit = _once(emit)
        self._network = network
        self._copies = copies
        self._halted = False

    def one(self, plan: Plan) -> Outcome:
        """Install one model, unless the run was cancelled or met a full disk. Emits how it ended."""
        if self._halted or self._token.cancelled:
            return Outcome(plan.reference, "not started")
        outcome = self._one(plan)
        if outcome.status == "interrupted" or (outcome.error and outcome.error.exit_code == StorageError.exit_code):
            self._halted = True
        return outcome

    def _one(self, plan: Plan) -> Outcome:
        outcome = self._try(plan)
        if plan.backup and isinstance(outcome.error, CannotHold):
            self._emit(FallbackFolderUsed(plan.reference, str(plan.backup), outcome.error.message))
            plan = Plan(plan.model, plan.backup)
            outcome = self._try(plan)
        if outcome.installed:
            self._emit(outcome.installed)
        if outcome.error and outcome.status == "failed":
            message, hint = explained(outcome.error, plan.folder, plan.model.size)
            self._emit(Failed(plan.reference, message, hint, outcome.error.exit_code))
            _tell_all(
                [event for event in outcome.endings if not isinstance(event, Deleted)], self._emit
            )  # see the hint
        return outcome

    def _try(self, plan: Plan) -> Outcome:
        try:
            transaction = Transaction(
                plan.folder,
                plan.artifacts,
                reference=plan.reference,
                options=self._options,
                token=self._token,
                emit=self._emit,
            )
        except LuciError as error:
            return Outcome(plan.reference, "failed", error=error)
        installation = Installation(
            plan, transaction, self._options, self._network, self._copies, self._token, self._emit
        )
        try:
            installed = _run(installation)
        except Interrupted as error:
            return Outcome(plan.reference, "interrupted", error=error, endings=tuple(transaction.endings))
        except LuciError as error:
            return Outcome(plan.reference, "failed", error=error, endings=tuple(transaction.endings))
        return Outcome(plan.reference, "installed", installed)


def _once(emit: Emit) -> Emit:
    """Tells each warning once in the run."""
    told: set[Warned] = set()
    lock = threading.Lock()

    def tell(event: Event) -> None:
        if isinstance(event, Warned):
            with lock:
                if event in told:
                    return
                told.add(event)
        emit(event)

    return tell


def _run(installation: Installation) -> Installed:
    """Install the model. In a folder that one may only read, it has to be there already. Raises: LuciError."""
    folder = installation.plan.folder
    try:
        fs.check_writable(folder)
        fs.check_writable(staging_folder(folder))
    except StorageError:
        if there := installation.look_only():
            return there
        raise
    return installation.run()


def _tell_all(events: Sequence[Event], emit: Emit) -> None:
    for event in events:
        emit(event)


def _summary(outcomes: Sequence[Outcome]) -> Summary:
    def of(status: Status) -> tuple[str, ...]:
        return tuple(outcome.reference for outcome in outcomes if outcome.status == status)

    failed = tuple(
        (outcome.reference, outcome.error.message)
        for outcome in outcomes
        if outcome.status == "failed" and outcome.error
    )
    return Summary(of("installed"), of("interrupted"), failed, of("not started"))


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The first failure's code; 0 when nothing failed."""
    return next((outcome.error.exit_code for outcome in outcomes if outcome.error), 0)
