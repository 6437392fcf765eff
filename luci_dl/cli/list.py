"""`luci list`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luci_dl.api.config import Settings, settings
from luci_dl.api.list import InstalledModel, installed
from luci_dl.cli import options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.errors import UsageError
from luci_dl.frozen import frozen
from luci_dl.model import Model
from luci_dl.text import human_size, local_time, printable

if TYPE_CHECKING:
    from luci_dl.api.catalog import Catalog

_TITLES = ("NAME", "SIZE", "INSTALLED", "VERIFIED", "FILE")
_NAME, _INSTALLED, _FILE = map(_TITLES.index, ("NAME", "INSTALLED", "FILE"))
_KEPT = 40
"""Characters of a name or file that are more useful than the date of the install."""


@click.command(
    epilog=options.examples(
        "luci list",
        "luci list --available",
        "luci list --fits --group vision",
        "luci list --everywhere",
        "luci list --json",
    )
)
@options.flag("-a", "--available", help="Show the models of the catalog.")
@options.flag("-e", "--everywhere", help="Show what other programs hold, too, and what is on the disk twice.")
@click.option("--tier", type=int, metavar="N", help="Only tier N: 0 runs anywhere, 4 needs a big machine.")
@click.option("--group", metavar="GROUP", help="Only a group: small, medium, large, vision, code, reasoning ...")
@click.option("--family", metavar="FAMILY", help="Only a family: qwen, gemma, llama ...")
@options.flag("--fits", help="Only what fits this machine.")
@options.folder("Look into this models folder only.")
@options.json_answer
def command(
    available: bool,
    everywhere: bool,
    tier: int | None,
    group: str | None,
    family: str | None,
    fits: bool,
    folder: str | None,
    as_json: bool,
) -> int:
    """Show the installed models, or those of the catalog.

    Installed models are listed from every folder that was ever used. A model of the catalog FITS if the disk has room
    for it besides the space that stays free (min_free), and if it can run here: in the memory of the graphics cards, in
    main memory, or in both, with half a GiB to spare. `luci info NAME` shows the numbers. A size with ~ is estimated by
    the model's name: the server says the real one.
    """
    found = settings(folder)
    wanted = _Wanted(tier, group, family, fits)
    of_catalog = available or wanted != _Wanted()
    if everywhere and of_catalog:
        raise UsageError("--everywhere shows what is on this machine, and does not go with options for the catalog")
    if everywhere:
        return _show_everywhere(folder, as_json)
    if of_catalog:
        return _show_available(wanted, found, folder, as_json)
    models = installed(folder, emit=session.warn)
    output = session.output()
    if as_json:
        output.results([answer("list", models)])
    elif models:
        rows = [_TITLES, *(_row(model, found.models_dir) for model in models)]
        output.results(table(rows, output.out, (_NAME, _FILE), optional=(_INSTALLED,), kept=_KEPT))
        if any(model.state in ("changed", "missing") for model in models):
            output.say(["`luci verify` shows what is wrong; `luci verify --repair` installs it again."])
    else:
        where = "" if folder is None else f" in {printable(str(found.models_dir))}"
        output.say([f"No models are installed{where}. `luci list --available` shows the models of the catalog."])
    return 0


def _show_everywhere(folder: str | None, as_json: bool) -> int:
    from luci_dl.api.everywhere import everywhere
    from luci_dl.cli import everywhere_table

    return everywhere_table.show(everywhere(folder, emit=session.warn), session.output(), as_json=as_json)


@frozen
class _Wanted:
    """Which models of the catalog to show."""

    tier: int | None = None
    group: str | None = None
    family: str | None = None
    fits: bool = False

    def of(self, catalog: Catalog) -> Sequence[Model]:
        """Raises: UsageError, if there are none."""
        models = list(catalog.models)
        if self.tier is not None:
            models = [model for model in models if model.tier == self.tier]
            tiers = sorted({model.tier for model in catalog.models if model.tier is not None})
            _check(models, f"tier {self.tier}", "tiers", map(str, tiers))
        if self.group is not None:
            members = catalog.group(self.group) or ()
            _check(members, f'group "{printable(self.group)}"', "groups", catalog.groups)
            models = [model for model in models if model in members]
        if self.family is not None:
            families = dict.fromkeys(model.family for model in catalog.models)
            models = [model for model in models if model.family == self.family.casefold()]
            _check(self.family.casefold() in families, f'family "{printable(self.family)}"', "families", families)
        return models


def _check(found: object, what: str, kind: str, known: Iterable[str]) -> None:
    if not found:
        raise UsageError(f"the catalog has no {what}", f"The {kind}: {', '.join(known)}.")


def _show_available(wanted: _Wanted, settings: Settings, folder: str | None, as_json: bool) -> int:
    """Show the models of the catalog. Returns: the exit code. Raises: UsageError; StorageError."""
    from luci_dl.api.catalog import in_families, load, offers
    from luci_dl.cli import catalog_table

    found = offers(wanted.of(load(settings.catalog)), settings, folder, emit=session.warn)
    if wanted.fits:
        found = [each for each in found if each.fit.disk is not False and each.fit.memory is not False]
    return catalog_table.show(in_families(found), session.output(), as_json=as_json, grouped=True)


def _row(model: InstalledModel, folder: Path) -> tuple[str, ...]:
    first = model.to_load
    more = len(model.names) - 1
    file = first.receipt.name if model.folder == folder else str(first.path)
    verified = min(file.receipt.verified for file in model.files)
    return (
        model.reference,
        human_size(model.size),
        local_time(first.receipt.installed, "%Y-%m-%d"),
        local_time(verified, "%Y-%m-%d") if model.state == "ok" else model.state,
        file + (f" and {more} more" if more else ""),
    )
