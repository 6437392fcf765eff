"""Models that are out of date, installed again: all files of a model, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luci_dl.errors import LuciError
from luci_dl.events import Warned
from luci_dl.install.batch import Outcome, install_models
from luci_dl.install.context import InstallContext
from luci_dl.install.outdated import Standing
from luci_dl.library.installed import InstalledModel
from luci_dl.library.remove import remove_superseded
from luci_dl.plan import Plan


def plans_of(standings: Sequence[Standing]) -> list[Plan]:
    """The new version of each outdated model, in the folder where the old one is."""
    outdated = (each for each in standings if each.state == "outdated")
    return [Plan(each.available, each.model.folder) for each in outdated if each.available]


def upgrade_models(standings: Sequence[Standing], context: InstallContext) -> list[Outcome]:
    """Install the new versions; then files that only an old version had are removed.

    Returns: the outcome of each plan of `plans_of`, in the same order.
    """
    work = replace(context, options=replace(context.options, upgrade=True, force=False))
    outdated = [each for each in standings if each.state == "outdated" and each.available]
    outcomes = install_models(plans_of(standings), work)
    for each, outcome in zip(outdated, outcomes, strict=True):
        names = {artifact.name for artifact in each.available.artifacts} if each.available else set()
        if outcome.installed and not names >= set(each.model.names):
            _remove_rest(each.model, context)
    return outcomes


def _remove_rest(old: InstalledModel, context: InstallContext) -> None:
    """Remove the files that only the old version has. What fails is a warning: the next upgrade tries again."""
    try:
        remove_superseded(old, context.token, context.emit)
    except LuciError as error:
        context.emit(Warned(f"files of the old version of {old.reference} are left: {error.message}"))
