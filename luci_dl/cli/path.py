"""`luci path`."""

from __future__ import annotations

from pathlib import Path

import click

from luci_dl import library
from luci_dl.cli import complete, lookup, session
from luci_dl.errors import IntegrityError, LuciError, ResolveError
from luci_dl.library import InstalledModel
from luci_dl.sources import catalog
from luci_dl.text import printable

EPILOG = """\b
Examples:
  luci path mistral
  llama-cli -m "$(luci path mistral)"

\b
Exit codes: 3 not installed, 5 the file is missing or has changed.
"""


@click.command(epilog=EPILOG)
@click.argument("name", shell_complete=complete.installed)
@session.dir_option("Look into this models folder alone.")
def command(name: str, folder: str | None) -> int:
    """Print the path of the installed file, and nothing else; of a model of several files the one to load.

    NAME is a name or alias of the catalog, an address as it was installed, or the file's own name.
    """
    try:
        settings = session.settings_for(folder)
        there = library.installed(session.all_folders(settings, folder))
        model = _find(name, catalog.load(settings.catalog), there)
        _check(model, settings.models_dir)
    except LuciError as error:
        return session.report(error)
    session.output().paths([str(model.to_load.path)])
    return 0


def _find(name: str, known: catalog.Catalog, there: list[InstalledModel]) -> InstalledModel:
    """The model that the name means, a sound one where it is in several folders. Raises: ResolveError."""
    found = lookup.find_installed(name, known, there)
    meant = dict.fromkeys(model.to_load.receipt.name for model in found)
    if len(meant) > 1:
        raise ResolveError(f'"{printable(name)}" is the name of {len(meant)} files', f"Say which: {', '.join(meant)}")
    return next((model for model in found if model.state == "ok"), found[0])


def _check(model: InstalledModel, default: Path) -> None:
    """Raises: IntegrityError, when one of its files is not as it was installed."""
    if model.state == "ok":
        return
    bad = [str(file.path) for file in model.files if file.state == model.state]
    path = printable([*(str(model.folder / name) for name in model.lost), *bad][0])
    what = "is missing" if model.state == "missing" else "has changed since luci installed it"
    where = "" if model.folder == default else f" --dir {printable(str(model.folder))}"
    hint = f"This checks and repairs it: luci install {printable(model.reference)}{where}"
    raise IntegrityError(f"{path} {what}", hint)
