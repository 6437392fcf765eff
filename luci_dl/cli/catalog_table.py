"""A table of catalog models: which are installed, and which fit this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence

from luci_dl.api.catalog import Fit, Offer
from luci_dl.cli.json_answers import to_json
from luci_dl.cli.json_shapes import OfferedModel
from luci_dl.cli.table import SHORTEST, table
from luci_dl.text import human_size
from luci_dl.ui.stream import Output

_TITLES = ("NAME", "SIZE", "TIER", "FITS", "LICENSE", "INSTALLED", "GROUPS", "ALIASES")
_NAME, _LICENSE = map(_TITLES.index, ("NAME", "LICENSE"))
_NARROW = 40
"""Columns of a terminal on which not even all names have room."""
_KEPT = 18
"""Characters of a name that are more useful than any other column."""
_FEW = 12
"""Models of which no list needs families."""


def show(offers: Sequence[Offer], output: Output, *, as_json: bool, grouped: bool = False) -> int:
    """Show the models as a table or as JSON. Returns: the exit code.

    Args:
        grouped: on a terminal, write the family above its models, if there are many; the offers come by family.
    """
    if as_json:
        models = [
            to_json(
                OfferedModel,
                each.model,
                {"installed": each.installed, "fits": each.fit, "size_about": each.about},
            )
            for each in offers
        ]
        output.results([json.dumps(models)])
        return 0
    rows = [_TITLES, *map(_row, offers)]
    flexible = _NAME if output.out.isatty() and output.out.size().columns < _NARROW else _LICENSE
    lines = table(
        rows,
        output.out,
        (flexible,),
        optional=range(_NAME + 1, len(_TITLES)),
        kept=_KEPT if flexible == _NAME else SHORTEST,
    )
    if grouped and output.out.isatty() and len(offers) > _FEW:
        lines = lines[:1] + _with_families(lines[1:], [each.model.family for each in offers])
    output.results(lines)
    return 0


def _with_families(lines: Sequence[str], families: Sequence[str]) -> list[str]:
    """The lines with a title before each family."""
    shown: list[str] = []
    for line, family, before in zip(lines, families, ["", *families[:-1]], strict=True):
        shown += ["", family.upper()] if family != before else []
        shown.append(line)
    return shown


def _row(offer: Offer) -> tuple[str, ...]:
    model = offer.model
    return (
        model.reference,
        _size(offer),
        "" if model.tier is None else str(model.tier),
        _fits(offer.fit),
        model.license or "",
        "yes" if offer.installed else "",
        ", ".join(model.groups),
        ", ".join(model.aliases),
    )


def _size(offer: Offer) -> str:
    if offer.about is None:
        return "unknown"
    return human_size(offer.about) if offer.model.size is not None else f"~{human_size(offer.about)}"


def _fits(fit: Fit) -> str:
    """Where a model runs if it fits, in a word; empty where that is unknown."""
    match fit.disk, fit.memory:
        case True, True:
            return fit.word
        case False, False:
            return "no: both"
        case False, _:
            return "no: disk"
        case _, False:
            return "no: memory"
    return ""
