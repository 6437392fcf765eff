"""A warning before a model is fetched that this machine cannot run."""

from __future__ import annotations

from luci_dl.cancel import run_cancellable
from luci_dl.catalog.fit import weights_of
from luci_dl.events import Warned
from luci_dl.install.context import InstallContext
from luci_dl.machine.fit import REST, this_machine
from luci_dl.machine.memory import main_memory
from luci_dl.model import Model
from luci_dl.text import printable


def warn_if_too_large(model: Model, context: InstallContext) -> None:
    """Warn if neither memory nor graphics cards can hold the model. Raises: Interrupted."""
    weights = weights_of(model.artifacts)
    memory = main_memory()
    if weights is None or memory is None or weights + REST <= memory.total:
        return  # most do, and then nobody asks a driver, which may take long
    load = run_cancellable(this_machine, context.token).load(weights)
    if load.runs is False:
        context.emit(Warned(f"{printable(model.reference)} does not fit this machine: {load.numbers}"))
