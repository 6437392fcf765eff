"""`luci list`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from luci_dl.api.config import Settings, settings
from luci_dl.api.list import InstalledModel, installed
from luci_dl.cli import options, session
from luci_dl.cli.json_answers import answer
from luci_dl.cli.table import table
from luci_dl.errors import UsageError
from luci_dl.model import Model
from luci_dl.text import human_size, local_time, printable

_TITLES = ("NAME", "SIZE", "INSTALLED", "VERIFIED", "FILE")
_NAME, _INSTALLED, _FILE = map(_TITLES.index, ("NAME", "INSTALLED", "FILE"))
_KEPT = 40
"""Characters of a name or file that are more useful than the date of the install."""


@click.command(
    epilog=options.examples("luci list", "luci list --available", "luci list --available --tier 1", "luci list --json")
)
@options.flag("-a", "--available", help="Show the models of the catalog.")
@click.option("--tier", type=int, metavar="N", help="Only tier N: 0 runs anywhere, 4 needs a big machine.")
@options.folder("Look into this models folder only.")
@options.json_answer
def command(available: bool, tier: int | None, folder: str | None, as_json: bool) -> int:
    """Show the installed models, or those of the catalog.

    Installed models are listed from every folder that was ever used. A model of the catalog FITS if the disk has room
    for it besides the space that stays free (min_free), and if it can run here: in the memory of the graphics cards, in
    main memory, or in both, with half a GiB to spare. `luci info NAME` shows the numbers.
    """
    found = settings(folder)
    if available or tier is not None:
        return _show_available(tier, found, folder, as_json)
    models = installed(folder, emit=session.warn)
    output = session.output()
    if as_json:
        output.results([answer("list", models)])
    elif models:
        rows = [_TITLES, *(_row(model, found.models_dir) for model in models)]
        output.results(table(rows, output.out, (_NAME, _FILE), optional=(_INSTALLED,), kept=_KEPT))
        if any(model.state != "ok" for model in models):
            output.say(["`luci verify` shows what is wrong; `luci verify --repair` installs it again."])
    else:
        where = "" if folder is None else f" in {printable(str(found.models_dir))}"
        output.say([f"No models are installed{where}. `luci list --available` shows the models of the catalog."])
    return 0


def _show_available(tier: int | None, settings: Settings, folder: str | None, as_json: bool) -> int:
    """Show the models of the catalog. Returns: the exit code. Raises: UsageError; StorageError."""
    from luci_dl.api.catalog import load, offers
    from luci_dl.cli import catalog_table

    models = _of_tier(tier, load(settings.catalog).models)
    return catalog_table.show(offers(models, settings, folder, emit=session.warn), session.output(), as_json=as_json)


def _of_tier(tier: int | None, models: Sequence[Model]) -> Sequence[Model]:
    """Raises: UsageError, if there are none."""
    if tier is None:
        return models
    found = [model for model in models if model.tier == tier]
    if not found:
        tiers = sorted({model.tier for model in models if model.tier is not None})
        raise UsageError(f"the catalog has no tier {tier}", f"The tiers: {', '.join(map(str, tiers))}.")
    return found


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
