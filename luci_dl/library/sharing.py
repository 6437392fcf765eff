"""Files of a model that is replaced or removed: those that other models need, those that luci has no receipt for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import Receipt
from luci_dl.events import LeftAlone, Superseded
from luci_dl.library.installed import InstalledModel, installed
from luci_dl.plan import Plan


def needed_elsewhere(plan: Plan) -> dict[str, Receipt]:
    """Those of the files that the plan replaces which other models in its folder need, with their receipts as theirs.

    Raises: StorageError.
    """
    obsolete = {*plan.replaces} - {artifact.name for artifact in plan.artifacts}
    own = plan.reference, plan.replaces
    others = [each for each in installed([plan.folder]) if (each.reference, each.names) != own]
    return {
        file.receipt.name: _as_of(file.receipt, each)
        for each in others
        for file in each.files
        if file.receipt.name in obsolete
    }


def _as_of(known: Receipt, model: InstalledModel) -> Receipt:
    if known.reference == model.reference:
        return known
    return replace(known, reference=model.reference, files=model.names, asked=model.question, kept={})


def superseded(plan: Plan, needed: Mapping[str, Receipt], *, dry_run: bool) -> list[Superseded | LeftAlone]:
    """An event for each file that is there, that the plan replaces, and that the new version does not have.

    Args:
        needed: those that stay because other models need them.

    Raises: StorageError.
    """
    events: list[Superseded | LeftAlone] = []
    for name in sorted({*plan.replaces} - {artifact.name for artifact in plan.artifacts}):
        path = plan.folder / name
        if not os.path.lexists(path):
            continue
        if other := needed.get(name):
            events.append(needed_by(other.reference, path))
        elif receipt.read(staging_for(plan.folder, name).receipt):
            events.append(Superseded(plan.reference, str(path), dry_run))
        else:
            events.append(without_receipt(path))
    return events


def needed_by(reference: str, path: Path) -> LeftAlone:
    """Why the file at `path` stays: another model needs it."""
    return LeftAlone(str(path), f"{reference} also needs it")


def without_receipt(path: Path) -> LeftAlone:
    """Why the file at `path` stays: it may not be luci's."""
    return LeftAlone(str(path), "luci has no receipt for it; delete it yourself if nothing else needs it")
