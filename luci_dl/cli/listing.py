"""`luci list`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from luci_dl.catalog import catalog
from luci_dl.cli import catalog_table, json_answers, session
from luci_dl.cli.table import table
from luci_dl.errors import LuciError, UsageError
from luci_dl.library import installed as library
from luci_dl.library.installed import InstalledModel
from luci_dl.model import Model
from luci_dl.text import human_size, local_time, printable

EPILOG = """\b
Examples:
  luci list
  luci list --available
  luci list --available --tier 1
  luci list --json

\b
With --json: one array of models, each as `luci info --json` tells of it (an
item of its "installed", or its "catalog"). Those of the catalog have also
"installed" (true or false) and "fits": its "disk" and "memory" are true,
false, or null where that cannot be told.
"""

_TITLES = ("NAME", "SIZE", "INSTALLED", "VERIFIED", "FILE")
_NAME, _INSTALLED, _FILE = map(_TITLES.index, ("NAME", "INSTALLED", "FILE"))
_WORTH = 40
"""Characters of a name or file that are worth more than the day of its install."""


@click.command(epilog=EPILOG)
@click.option("-a", "--available", is_flag=True, help="The models of the catalog.")
@click.option("--tier", type=int, metavar="N", help="Those of tier N: 0 runs anywhere, 4 needs a big machine.")
@session.dir_option("Look into this models folder alone.")
@click.option("--json", "as_json", is_flag=True, help="For programs, on stdout.")
def command(available: bool, tier: int | None, folder: str | None, as_json: bool) -> int:
    """Show the installed models, of every folder that was ever used; or the models that the catalog knows.

    A model of the catalog FITS when there is room for it on the disk, beside what stays free (min_free), and when it
    and a fifth more, which it needs while it runs, is not more than the memory of this machine.
    """
    try:
        settings = session.settings_for(folder)
        there = library.installed(session.all_folders(settings, folder))
        if available or tier is not None:
            known = _of_tier(tier, catalog.load(settings.catalog).models)
            return catalog_table.show(known, there, settings, session.output(), as_json=as_json)
    except LuciError as error:
        return session.report(error, json=as_json)
    output = session.output()
    if as_json:
        output.results([json.dumps(list(map(json_answers.installed_model_json, there)))])
    elif there:
        rows = _installed(there, settings.models_dir)
        output.results(table(rows, output.out, (_NAME, _FILE), optional=(_INSTALLED,), worth=_WORTH))
        if any(model.state != "ok" for model in there):
            output.say(["`luci verify` tells what is wrong; `luci verify --repair` installs it again."])
    else:
        where = "" if folder is None else f" in {printable(str(settings.models_dir))}"
        output.say([f"No models are installed{where}. `luci list --available` shows what luci knows by name."])
    return 0


def _of_tier(tier: int | None, models: Sequence[Model]) -> Sequence[Model]:
    """Raises: UsageError, when there are none."""
    if tier is None:
        return models
    found = [model for model in models if model.tier == tier]
    if not found:
        tiers = sorted({model.tier for model in models if model.tier is not None})
        raise UsageError(f"the catalog has no tier {tier}", f"The tiers: {', '.join(map(str, tiers))}.")
    return found


def _installed(models: Sequence[InstalledModel], folder: Path) -> list[tuple[str, ...]]:
    return [_TITLES, *(_installed_row(model, folder) for model in models)]


def _installed_row(model: InstalledModel, folder: Path) -> tuple[str, ...]:
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
