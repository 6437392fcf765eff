"""Installs models again that are no longer what their references name: all files of each, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luci_dl.cancel import CancelToken
from luci_dl.config.settings import Settings
from luci_dl.errors import LuciError, NetworkError, ResolveError, StorageError
from luci_dl.events import Compared, Emit, Failed
from luci_dl.frozen import frozen
from luci_dl.install.actions import Complete
from luci_dl.install.batch import Outcome, install_models
from luci_dl.install.context import InstallContext
from luci_dl.install.outdated import Standing, compare
from luci_dl.install.pending import pending
from luci_dl.install.servers import install_context
from luci_dl.library.installed import InstalledModel
from luci_dl.library.sharing import needed_elsewhere, superseded
from luci_dl.plan import Options, Plan
from luci_dl.text import printable


@frozen
class Upgrade:
    """What an upgrade of some models will do.

    Attributes:
        plans: of those that are outdated, and of those of which something is unfinished.
        errors: why others cannot be upgraded; they were emitted.
        fetch: bytes, a lower bound if `at_least`.
    """

    plans: tuple[Plan, ...]
    errors: tuple[LuciError, ...]
    fetch: int
    at_least: bool
    context: InstallContext

    @classmethod
    def of(
        cls,
        models: Sequence[InstalledModel],
        named: bool,
        settings: Settings,
        options: Options,
        token: CancelToken,
        emit: Emit,
    ) -> Upgrade:
        """The upgrade of these models, after they were compared with what their references name now.

        Args:
            named: the user named them, so that each must be upgraded if it is outdated.

        Raises: UsageError; StorageError, when a program to link to is not there; Interrupted.
        """
        context = install_context(settings, replace(options, upgrade=True), token, emit)
        found = compare(models, settings, replace(context, emit=lambda _event: None), guess=True)
        errors = [error for each in found if (error := _report(each, named, emit))]
        outdated = [each for each in found if each.state == "outdated"]
        unfinished = [each for each in found if each.state == "current" and _is_unfinished(each)]
        plans = [_plan(each) for each in (*outdated, *unfinished)]
        fetch = sum(each.fetch or 0 for each in outdated)
        return cls(tuple(plans), tuple(errors), fetch, any(each.fetch is None for each in outdated), context)

    @property
    def outdated(self) -> int:
        """How many models are replaced."""
        return sum(bool(plan.replaces) for plan in self.plans)

    def run(self) -> list[Outcome]:
        """Install what is outdated. Returns: one outcome for each plan, in the same order."""
        return install_models(self.plans, self.context) if self.plans else []

    def forecast(self) -> int:
        """Emit what `run` would do. Returns: the exit code that it would have. Raises: Interrupted."""
        from luci_dl.install.dry_run import dry_run  # rarely used

        code = dry_run(self.plans, self.context)
        for plan in self.plans:
            for event in superseded(plan, needed_elsewhere(plan), dry_run=True):
                self.context.emit(event)
        return next((error.exit_code for error in self.errors), code)


def _plan(found: Standing) -> Plan:
    if found.available is None:
        raise RuntimeError(f"{found.model.reference} is {found.state}, but nothing is known of it")
    replaces = found.model.names if found.state == "outdated" else ()
    return Plan(found.available, found.model.folder, replaces=replaces)


def _is_unfinished(found: Standing) -> bool:
    """Whether an install has something to do, though all files are current: to note the options, or after a crash."""
    if found.model.question is None or found.available is None:
        return True
    try:
        return any(isinstance(action, Complete) for action in pending(found.model.folder, found.available.artifacts))
    except StorageError:  # the install says what is wrong
        return True


def _report(found: Standing, named: bool, emit: Emit) -> LuciError | None:
    """Emit the state of one model. Returns: why it cannot be upgraded, if that is an error."""
    reference = found.model.reference
    if found.state == "gone":
        message, hint = f"{printable(reference)} is gone: {found.reason}", "It stays installed as it is."
        error: LuciError | None = ResolveError(message, hint)
    elif found.unreachable or (found.state == "unknown" and named):
        what = f"cannot tell whether {printable(reference)} is up to date: {found.reason}"
        error = (NetworkError if found.unreachable else ResolveError)(what, _hint(found))
    else:
        error = None
    if error:
        emit(Failed(reference, error.message, error.hint, error.exit_code))
    else:
        emit(Compared(reference, str(found.model.folder), found.state, found.reason, found.fetch))
    return error


def _hint(found: Standing) -> str:
    if found.error:
        return found.error.hint
    return f"This fetches it anew: luci install {printable(found.model.reference)} --force"
