"""One model: a transaction around the actions that `inspect` decided on."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence

from luci_dl.cancel import run_cancellable
from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.part import Part
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.target import Found
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import StorageError
from luci_dl.events import Installed, LeftAlone, Superseded
from luci_dl.frozen import frozen
from luci_dl.install.actions import Action, Adopt, Copy, Fetch, Keep, Mend, Refuse
from luci_dl.install.context import InstallContext
from luci_dl.install.inspect import Inspector, read_only_look
from luci_dl.model import Artifact
from luci_dl.plan import Plan


@frozen
class Installation:
    """The install of one plan, in its transaction."""

    plan: Plan
    transaction: Transaction
    context: InstallContext

    def run(self) -> Installed:
        """Install all files or none.

        Raises: LuciError of every kind; then no target has changed, and `transaction.endings` says what became of the
            parts.
        """
        began, filled = time.monotonic(), []
        with self.transaction:
            actions = self._inspector(self.transaction.look).actions(self.plan.artifacts)
            size = sum(map(self._keep, actions))
            todo = [action for action in actions if isinstance(action, Fetch)]
            if todo:
                from luci_dl.install.filling import Job, fill_all  # not loaded if all is installed
                from luci_dl.install.too_large import warn_if_too_large

                warn_if_too_large(self.plan.model, self.context)
                jobs = [Job(action, self._open(action)) for action in todo]  # room for all before the first byte
                for job in jobs:
                    self.context.opened(job.part)
                filled = fill_all(self.plan, jobs, self.transaction, self.context)
                size += sum(job.part.size or 0 for job in jobs)
            renewed = self._keep_companions(actions)
            needed, superseded = self._superseded()
            self.transaction.commit(needed)  # nothing below may fail
        if todo and self.context.swarm:
            self.context.swarm.installed([job.part for job in jobs])
        for event in superseded:
            if isinstance(event, LeftAlone) or not os.path.lexists(event.path):
                self.context.emit(event)
        copied = "copied" if all(each.copied for each in filled) else "downloaded"
        how = copied if filled else _how(actions)
        how = "renewed" if renewed and how == "already" else how
        return self._installed(how, size, sum(each.fetched for each in filled), began)

    def _superseded(self) -> tuple[Mapping[str, Receipt], Sequence[Superseded | LeftAlone]]:
        """Files of the replaced version that other models need; what to report of all that the new one does not have.

        Raises: StorageError.
        """
        if not self.plan.replaces:
            return {}, ()
        from luci_dl.library.sharing import needed_elsewhere, superseded  # of an upgrade only

        needed = needed_elsewhere(self.plan)
        return needed, superseded(self.plan, needed, dry_run=False)

    def look_only(self) -> Installed | None:
        """The model if all of it is there and right, else None. Takes no lock, writes nothing into the folder.

        Raises: Interrupted; StorageError, for a file that cannot be read.
        """
        began = time.monotonic()
        look = read_only_look(self.plan.folder, self.context)
        actions = list(self._inspector(look).decide(self.plan.artifacts).values())
        for action in actions:
            if isinstance(action, Refuse) and isinstance(action.error, StorageError):
                raise action.error
        kept = [action for action in actions if isinstance(action, Keep)]
        if len(kept) < len(actions):
            return None
        for action in kept:
            self._remember(action)
        how = _how(kept)
        how = "already" if how == "adopted" else how  # nothing is adopted here
        return self._installed(how, sum(action.found.size for action in kept), 0, began)

    def _remember(self, action: Keep) -> None:
        """Keep what was found by reading the file, so that it need not be read again."""
        path, known = staging_for(self.plan.folder, action.artifact.name).receipt, action.found.receipt
        with contextlib.suppress(StorageError):
            if known and known != receipt.read(path):
                receipt.remember(path, known)

    def _inspector(self, look: Callable[[Artifact], Found]) -> Inspector:
        return Inspector(self.plan.folder, self.context, look)

    def _installed(self, how: str, size: int, fetched: int, began: float) -> Installed:
        paths = tuple(str(self.plan.folder / artifact.name) for artifact in self.plan.artifacts)
        return Installed(self.plan.reference, paths, size, how, fetched, time.monotonic() - began)

    def _keep(self, action: Action) -> int:
        """Adopt and report a file that stays. Returns: its size in bytes. Raises: the error of a refused one."""
        if isinstance(action, Refuse):
            raise action.error
        if not isinstance(action, Keep):
            return 0
        if isinstance(action, Adopt):
            self.transaction.adopt(action.artifact, action.found)
        size = action.found.size
        self.transaction.report(action.artifact.name, size, size, 0.0)
        return size

    def _keep_companions(self, actions: Sequence[Action]) -> bool:
        """Fetch the small files of the model that no receipt of it has.

        Returns: whether there is something new to keep. Raises: Interrupted.
        """
        if not self.plan.model.companions:
            return False
        from luci_dl.install.companions import fetch_companions  # few models have some

        receipts = (action.found.receipt for action in actions if isinstance(action, Keep))
        known = {key: data for each in receipts if each for key, data in each.kept.items()}
        kept = fetch_companions(self.plan.model, known, self.context)
        self.transaction.keep(kept)
        return kept != known

    def _open(self, action: Fetch) -> Part:
        if isinstance(action, Mend):
            return self.transaction.mend(action.artifact, action.receipt.blocks)
        if not isinstance(action, Copy):
            return self.transaction.open(action.artifact)
        from luci_dl.install.copying import first_opened

        source = run_cancellable(lambda: first_opened(action.copies), self.context.token)
        return self.transaction.open(action.artifact, source)


def _how(actions: Sequence[Action]) -> str:
    """`Installed.how` of a model of which all files stay."""
    states = {action.found.state for action in actions if isinstance(action, Keep)}
    outcomes = {"newer": "newer", "elsewhere": "elsewhere", "adoptable": "adopted"}
    return next((outcome for state, outcome in outcomes.items() if state in states), "already")
