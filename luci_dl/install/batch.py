"""Many models: one after the other or side by side, and how the install of each ended."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from luci_dl.disk import fs
from luci_dl.disk.layout import staging_folder
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
from luci_dl.frozen import frozen
from luci_dl.install.already import already_installed
from luci_dl.install.context import InstallContext
from luci_dl.install.free_space import message_and_hint
from luci_dl.install.head_start import head_start
from luci_dl.plan import Plan
from luci_dl.pool import run_side_by_side

if TYPE_CHECKING:
    from luci_dl.install.transfer import Installation

Status = Literal["installed", "failed", "interrupted", "not started"]
_BASE_FILES, _FILES_EACH = 100, 3
"""Files that are open at once: connections and the like; and the lock, part and journal of each artifact."""


@frozen
class Outcome:
    """How the install of one model ended. `endings`: what became of its parts."""

    reference: str
    status: Status
    installed: Installed | None = None
    error: LuciError | None = None
    endings: tuple[Event, ...] = ()


def install_models(plans: Sequence[Plan], context: InstallContext) -> list[Outcome]:
    """Install all models, `Options.jobs` at a time. A full disk or an interrupt ends the run, other failures do not.

    Returns: one outcome for each plan, in the same order. Emits everything that a user should read, a summary last.
    """
    options, token, emit = context.options, context.token, context.emit
    total = sum(artifact.size or 0 for plan in plans for artifact in plan.artifacts)
    emit(Planned(tuple(plan.reference for plan in plans), total, any(plan.model.size is None for plan in plans)))
    fs.allow_files(_BASE_FILES + _FILES_EACH * options.jobs * max((len(plan.artifacts) for plan in plans), default=0))
    outcomes = run_side_by_side(_Run(context).install, plans, token, options.jobs)
    if token.cancelled and any(outcome.status in ("interrupted", "not started") for outcome in outcomes):
        emit(Stopped(token.signum))
        for outcome in outcomes:
            if outcome.status == "interrupted":
                _emit_all(outcome.endings, emit)
    if len(plans) > 1:
        emit(_summary(outcomes))
    if context.swarm:
        context.swarm.stay(context)
        context.swarm.close()
    return outcomes


class _Run:
    """The installs of one run. `install` is called by several threads."""

    def __init__(self, context: InstallContext) -> None:
        self._context = replace(context, emit=_without_repeated_warnings(context.emit))
        self._halted = False

    def install(self, plan: Plan) -> Outcome:
        """Install one model and emit how that ended, unless the run was interrupted or a disk is full."""
        if self._halted or self._context.token.cancelled:
            return Outcome(plan.reference, "not started")
        if installed := already_installed(plan, self._context):
            self._context.emit(installed)
            return self._linked(plan, Outcome(plan.reference, "installed", installed))
        outcome = self._into_one_folder(plan)
        if outcome.status == "interrupted" or (outcome.error and outcome.error.exit_code == StorageError.exit_code):
            self._halted = True
        return outcome

    def _linked(self, plan: Plan, outcome: Outcome) -> Outcome:
        """The outcome after the model's links were made anew, and those that the options ask for."""
        from luci_dl.library.links.place import has_links  # not needed before the first request

        options, token, emit = self._context.options, self._context.token, self._context.emit
        if outcome.installed and outcome.installed.outcome != "already" and has_links():
            from luci_dl.library.links.follow import followed

            with contextlib.suppress(Interrupted), followed(plan.folder, plan.reference, token, emit):
                pass
        if not options.links:
            return outcome
        from luci_dl.install.linking import link_installed  # not needed by most

        return replace(outcome, error=link_installed(plan, options.links, token, emit))

    def _into_one_folder(self, plan: Plan) -> Outcome:
        """The planned one, or the backup if that cannot hold the model."""
        emit = self._context.emit
        with head_start(plan, self._context):
            outcome = self._try(plan)
            if plan.backup and isinstance(outcome.error, CannotHold):
                emit(FallbackFolderUsed(plan.reference, str(plan.backup), outcome.error.message))
                plan = Plan(plan.model, plan.backup)
                outcome = self._try(plan)
        if outcome.installed:
            emit(outcome.installed)
            return self._linked(plan, outcome)
        if outcome.error and outcome.status == "failed":
            message, hint = message_and_hint(outcome.error, plan.folder, plan.model.size)
            emit(Failed(plan.reference, message, hint, outcome.error.exit_code))
            _emit_all((event for event in outcome.endings if not isinstance(event, Deleted)), emit)
        return outcome

    def _try(self, plan: Plan) -> Outcome:
        context = self._context
        from luci_dl.disk.transaction import Transaction  # slow to load, as is all that it takes to fill a part
        from luci_dl.install.transfer import Installation

        try:
            transaction = Transaction(
                plan.folder,
                plan.artifacts,
                reference=plan.reference,
                asked=plan.model.asked,
                kept=plan.model.kept,
                replaces=plan.replaces,
                options=context.options,
                token=context.token,
                emit=context.emit,
                verb="upgrade" if context.options.upgrade else "install",
            )
        except LuciError as error:
            return Outcome(plan.reference, "failed", error=error)
        try:
            installed = _install(Installation(plan, transaction, context))
        except LuciError as error:
            status: Status = "interrupted" if isinstance(error, Interrupted) else "failed"
            return Outcome(plan.reference, status, error=error, endings=tuple(transaction.endings))
        return Outcome(plan.reference, "installed", installed)


def _install(installation: Installation) -> Installed:
    """Install the model; if its folder is read-only or full, it must be installed already. Raises: LuciError."""
    folder = installation.plan.folder
    try:
        fs.check_writable(folder)
        fs.check_writable(staging_folder(folder))
        return installation.run()
    except StorageError:
        installed = None if installation.plan.replaces else installation.look_only()
        if installed is None:
            raise
        return installed


def _without_repeated_warnings(emit: Emit) -> Emit:
    seen: set[Warned] = set()
    lock = threading.Lock()

    def emit_once(event: Event) -> None:
        if isinstance(event, Warned):
            with lock:
                if event in seen:
                    return
                seen.add(event)
        emit(event)

    return emit_once


def _emit_all(events: Iterable[Event], emit: Emit) -> None:
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
    """The exit code of the first failure; 0 if there was none."""
    return next((outcome.error.exit_code for outcome in outcomes if outcome.error), 0)
