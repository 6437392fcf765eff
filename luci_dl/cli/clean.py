"""`luci clean`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, session
from luci_dl.config import Settings
from luci_dl.errors import LuciError, StorageError
from luci_dl.events import Emit, Swept

EPILOG = """\b
Examples:
  luci clean
  luci clean --dry-run
  luci clean mistral
"""


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.known_or_installed)
@session.dir_option("Clean this models folder alone.")
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="One event a line on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(names: tuple[str, ...], folder: str | None, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Complete what a crash cut off, then remove what interrupted downloads left: partial files, journals, idle locks.

    Nothing that a running luci holds is touched, and no file that luci did not make. NAMEs limit it to those models.
    """
    try:
        settings = session.settings_for(folder)
        folders = [path for path in session.all_folders(settings, folder) if path.is_dir()]
        targets = _targets(names, settings, folders) if names else None
    except LuciError as error:
        return session.report(error, json=as_json)

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.cleaner import clean

        reports = [clean(path, targets, dry_run, token, emit) for path in folders]
        removed, freed = sum(report.removed for report in reports), sum(report.freed for report in reports)
        emit(Swept(removed, freed, sum(report.left_alone for report in reports), dry_run))
        return StorageError.exit_code if any(report.failed for report in reports) else 0

    return session.run(work, json=as_json, quiet=quiet)


def _targets(names: Sequence[str], settings: Settings, folders: Sequence[Path]) -> Collection[str]:
    """The target names that the words mean: of the catalog, of what is installed, or of what lies in the staging."""
    from luci_dl import library
    from luci_dl.cleaner import staged_names
    from luci_dl.cli.lookup import look_up, unknown
    from luci_dl.sources import catalog
    from luci_dl.sources.ollama_name import is_name, parse_name

    known = catalog.load(settings.catalog)
    there = library.installed(folders)
    staged = {name for folder in folders for name in staged_names(folder)}
    targets: set[str] = set()
    for word in names:
        meant = look_up(word, known, there)
        found = {artifact.name for artifact in meant.entry.artifacts} if meant.entry else set()
        found.update(name for model in meant.installed for name in model.names)
        found.update(name for name in staged if word in (name, name.rpartition("/")[2]))
        if is_name(word):
            found.update(staged.intersection(parse_name(word).targets))
        if not found:
            raise unknown(word, known, there, "`luci clean` without names cleans all.")
        targets |= found
    return targets
