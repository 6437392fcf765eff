"""A table of catalog models: which are installed, and which fit this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence

from luci_dl.api.catalog import Fit, Offer
from luci_dl.cli.json_answers import to_json
from luci_dl.cli.json_shapes import OfferedModel
from luci_dl.cli.table import table
from luci_dl.text import human_size
from luci_dl.ui.stream import Output

_TITLES = ("NAME", "SIZE", "TIER", "FITS", "LICENSE", "INSTALLED", "GROUPS", "ALIASES")
_NAME, _LICENSE = map(_TITLES.index, ("NAME", "LICENSE"))


def show(offers: Sequence[Offer], output: Output, *, as_json: bool) -> int:
    """Show the models as a table or as JSON. Returns: the exit code."""
    if as_json:
        models = [to_json(OfferedModel, each.model, {"installed": each.installed, "fits": each.fit}) for each in offers]
        output.results([json.dumps(models)])
    else:
        rows = [_TITLES, *map(_row, offers)]
        output.results(table(rows, output.out, (_LICENSE,), optional=range(_NAME + 1, len(_TITLES))))
    return 0


def _row(offer: Offer) -> tuple[str, ...]:
    model = offer.model
    return (
        model.reference,
        "unknown" if model.size is None else human_size(model.size),
        "" if model.tier is None else str(model.tier),
        _fits(offer.fit),
        model.license or "",
        "yes" if offer.installed else "",
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
