"""A warning before a model is fetched that this machine cannot run."""

from __future__ import annotations

from luci_dl.cancel import run_cancellable
from luci_dl.events import Warned
from luci_dl.install.context import InstallContext
from luci_dl.machine.memory import main_memory
from luci_dl.model import Model
from luci_dl.text import printable

SPARE = 1 << 30
"""With so many bytes of memory besides its own, a model surely runs."""


def warn_if_too_large(model: Model, context: InstallContext) -> None:
    """Warn if neither memory nor graphics cards can hold the model. Raises: Interrupted."""
    memory = main_memory()
    if memory and model.size is not None and model.size + SPARE <= memory.total:
        return
    from luci_dl.catalog.fit import load_of  # not needed by most
    from luci_dl.machine.fit import Machine, this_machine

    load = load_of(model, Machine(memory))
    if load is None or load.runs is not False:
        return  # nobody asks a driver, which may take long
    load = load_of(model, run_cancellable(this_machine, context.token))
    if load and load.runs is False:
        context.emit(Warned(f"{printable(model.reference)} does not fit this machine: {load.numbers}"))
