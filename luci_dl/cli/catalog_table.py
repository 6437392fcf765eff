"""A table of catalog models: which are installed, and which fit this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from luci_dl.catalog.fit import Fit, this_machine
from luci_dl.cli.json_answers import offered_model_json
from luci_dl.cli.table import table
from luci_dl.config.settings import Settings
from luci_dl.library.installed import InstalledModel
from luci_dl.library.lookup import installed_of
from luci_dl.model import Model
from luci_dl.text import human_size
from luci_dl.ui.stream import Output

_TITLES = ("NAME", "SIZE", "TIER", "FITS", "LICENSE", "INSTALLED", "GROUPS", "ALIASES")
_LICENSE = _TITLES.index("LICENSE")


def show(
    models: Sequence[Model], installed: Sequence[InstalledModel], settings: Settings, output: Output, *, as_json: bool
) -> int:
    """Show the models as a table or as JSON. Returns: the exit code."""
    items = list(_items(models, installed, settings))
    if as_json:
        output.results([json.dumps([offered_model_json(*item) for item in items])])
    else:
        rows = [_TITLES, *(_row(model, here, fit) for model, here, fit in items)]
        output.results(table(rows, output.out, (_LICENSE,), optional=range(_LICENSE + 1, len(_TITLES))))
    return 0


def _items(
    models: Sequence[Model], installed: Sequence[InstalledModel], settings: Settings
) -> Iterator[tuple[Model, bool, Fit]]:
    machine = this_machine(settings.models_dir, settings.min_free)
    by_word: dict[str, list[InstalledModel]] = {}
    for each in installed:
        for word in {each.reference, *each.names}:
            by_word.setdefault(word, []).append(each)
    for model in models:
        candidates = [*by_word.get(model.reference, ()), *by_word.get(model.artifacts[0].name, ())]
        is_installed = bool(installed_of(model, candidates))
        yield model, is_installed, machine.fit(model, installed=is_installed)


def _row(model: Model, installed: bool, fit: Fit) -> tuple[str, ...]:
    return (
        model.reference,
        "unknown" if model.size is None else human_size(model.size),
        "" if model.tier is None else str(model.tier),
        _fits(fit),
        model.license or "",
        "yes" if installed else "",
        ", ".join(model.groups),
        ", ".join(model.aliases),
    )


def _fits(fit: Fit) -> str:
    """Whether a model fits, in a word; empty where that is unknown."""
    match fit.disk, fit.memory:
        case True, True:
            return "yes"
        case False, False:
            return "no: both"
        case False, _:
            return "no: disk"
        case _, False:
            return "no: memory"
    return ""
