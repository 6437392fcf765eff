"""Whether a model fits this machine, as rows of `luci info`; and the quantisations of a repository, as its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luci_dl.api.info import Load
from luci_dl.api.repository import Quantisation
from luci_dl.text import human_size

_TITLES = ("QUANTISATION", "SIZE", "RUNNING", "FITS", "")


def rows(load: Load) -> Iterator[tuple[str, str]]:
    """Labels and texts."""
    yield "Running", f"{load.verdict.value}: {load.numbers}" if load.verdict else load.numbers


def table_of(quantisations: Sequence[Quantisation]) -> list[tuple[str, ...]]:
    """The titles and a row for each."""
    return [_TITLES, *map(_row, quantisations)]


def _row(each: Quantisation) -> tuple[str, ...]:
    notes = ["default"] * each.is_default + ["installed"] * each.installed
    verdict = each.fit.verdict.word if each.fit.verdict else ""
    name = each.label or each.files[0]
    return name, human_size(each.size), human_size(each.fit.needed), verdict, ", ".join(notes)
