"""`luci remove`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luci_dl import library
from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, lookup, session
from luci_dl.config import Settings
from luci_dl.errors import LockedError, ResolveError, UsageError
from luci_dl.events import Emit
from luci_dl.library import InstalledModel
from luci_dl.sources import catalog
from luci_dl.text import human_size, printable
from luci_dl.ui.words import words

if TYPE_CHECKING:
    from luci_dl.remover import Removal

EPILOG = """\b
Examples:
  luci remove mistral
  luci remove mistral --dry-run
  luci remove phi-3 tinyllama --yes

\b
Exit codes: 2 nobody agreed, 3 not installed, 6 disk, 7 in use.
"""


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.installed)
@session.dir_option("Remove from this models folder alone.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One event a line on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(names: tuple[str, ...], folder: str | None, dry_run: bool, yes: bool, as_json: bool, quiet: bool) -> int:
    """Uninstall models: all files of each, and what interrupted downloads of it left. A file that is part of another
    installed model, too, stays.

    NAME is a name or alias of the catalog, an address as it was installed, or the file's own name.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.remover import check_idle, remove

        removals = _plan(names, session.settings_for(folder), folder)
        for removal in removals:
            check_idle(removal)
        if dry_run:
            for event in [event for removal in removals for event in removal.told(dry_run=True)]:
                emit(event)
            return 0
        if not yes:
            _ask(removals, token)
        for removal in removals:
            remove(removal, token, emit)
        return 0

    if not names:
        return session.report(UsageError("no model is named", "`luci list` shows what is installed."), json=as_json)
    return session.run(work, json=as_json, quiet=quiet, what="Removal")


def _plan(words: Sequence[str], settings: Settings, folder: str | None) -> list[Removal]:
    """What the words mean, and what removing that does. Raises: LuciError."""
    from luci_dl.remover import plan_removal

    folders, known = session.all_folders(settings, folder), catalog.load(settings.catalog)
    there = library.installed(folders)
    meant = dict.fromkeys(_find(word, known, folders, there) for word in words)
    return [plan_removal(path, reference) for path, reference in meant]


def _find(
    word: str, known: catalog.Catalog, folders: Sequence[Path], there: Sequence[InstalledModel]
) -> tuple[Path, str]:
    """The folder and the reference of the one model that the word means. Raises: ResolveError; LockedError."""
    found = lookup.look_up(word, known, there)
    name = printable(word)
    if not found.installed:
        _check_not_downloading(word, found, folders)
        if found.entry or lookup.is_reference(word):
            raise ResolveError(f"{name} is not installed", "`luci clean` removes what an interrupted download left.")
        raise lookup.unknown(word, known, there)
    meant = dict.fromkeys((model.folder, model.reference) for model in found.installed)
    if len(references := dict.fromkeys(reference for _, reference in meant)) > 1:
        raise ResolveError(f'"{name}" means {len(references)} models', f"Say which: {', '.join(references)}")
    if len(meant) > 1:
        places = ", ".join(str(path) for path, _ in meant)
        raise ResolveError(f"{name} is installed in {len(meant)} folders", f"Say which with --dir: {places}")
    return next(iter(meant))


def _check_not_downloading(word: str, found: lookup.Found, folders: Sequence[Path]) -> None:
    """Raises: LockedError, when what is not installed yet is on its way."""
    from luci_dl.running import running

    names = {artifact.name for artifact in found.entry.artifacts} if found.entry else {word}
    for run in running(folders):
        if word == run.model or not names.isdisjoint(run.names):
            message = f"{word} is not installed yet: it is being downloaded by {run.who}"
            raise LockedError(printable(message), "Interrupt that, and nothing is left of it.")


def _ask(removals: Sequence[Removal], token: CancelToken) -> None:
    """Raises: UsageError, unless somebody at the terminal says yes; Interrupted."""
    size = human_size(sum(removal.freed for removal in removals))
    what = f"{len(removals)} models, {size}" if len(removals) > 1 else f"{printable(removals[0].reference)}, {size}"
    if not (os.isatty(0) and os.isatty(2)):  # sys.stdin is None where it was closed
        raise UsageError(f"nobody is at a terminal to agree that {what} goes", "Agree beforehand with --yes.")
    told = [line for removal in removals for event in removal.told(dry_run=True) for line in words(event)]
    session.output().say(told)
    if not session.agreed(f"Remove {what}?", token):
        raise UsageError("nothing was removed", "Name what shall go; --dry-run shows what that means.")
