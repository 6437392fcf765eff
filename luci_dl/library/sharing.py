"""Files that several installed models need."""

from __future__ import annotations

from dataclasses import replace

from luci_dl.disk.receipt import Receipt
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
