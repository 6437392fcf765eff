"""`luci upgrade`: installing models again that are no longer what their references name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luci_dl.api.config import Folder, settings
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.outdated import models_named
from luci_dl.cancel import CancelToken
from luci_dl.events import Emit, ignore
from luci_dl.install.batch import exit_code
from luci_dl.install.upgrade import Upgrade
from luci_dl.plan import Options

__all__ = ["Upgrade", "exit_code", "plan_upgrade", "upgrade"]


def upgrade(
    *names: str,
    folder: Folder = None,
    dry_run: bool = False,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Path]:
    """Install outdated models again, as `luci upgrade NAME...` does. Usable in any thread.

    Args:
        names: of the catalog, references as they were installed, or files; none means all.
        folder: look only into this models folder.
        dry_run: change nothing.
        options: how; by default with the settings of config.json.
        emit: gets the state of each model, and the events of the install.

    Returns: the paths of all files of the models that were upgraded (or would be). Raises: the first LuciError; models
        that did not fail are upgraded all the same. What `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        plan = plan_upgrade(names, folder, options, guard.token, guard.emit)
        if dry_run:
            plan.forecast()
        errors = [*plan.errors, *(outcome.error for outcome in ([] if dry_run else plan.run()) if outcome.error)]
        if errors:
            raise errors[0]
        guard.token.check()  # cancelled between two models
        return [each.folder / artifact.name for each in plan.plans if each.replaces for artifact in each.artifacts]


def plan_upgrade(
    names: Sequence[str], folder: Folder, options: Options | None, token: CancelToken, emit: Emit
) -> Upgrade:
    """What upgrading the models will do, after they were compared. Raises: as `upgrade`."""
    found = settings(folder)
    models = models_named(names, found, folder, emit)
    return Upgrade.of(models, bool(names), found, options or found.options, token, emit)
