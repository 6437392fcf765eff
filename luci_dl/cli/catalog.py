"""`luci catalog`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luci_dl.cli import session
from luci_dl.errors import LuciError
from luci_dl.text import printable

if TYPE_CHECKING:
    from luci_dl.catalog.edit import Added, CatalogFile

EPILOG = """\b
Examples:
  luci catalog add my-models.toml
  luci catalog list
  luci catalog check
  luci catalog update --dry-run

\b
Your catalog is the file that LUCI_CATALOG names, or `catalog` in config.json,
else catalog.toml in luci's own folder.
"""


def _epilog(examples: Sequence[str], *more: str) -> str:
    shown = ["\b", "Examples:", *(f"  {line}" for line in examples)]
    return "\n".join([*shown, "", "\b", *more])


AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs, on stdout.")


@click.group(epilog=EPILOG)
def command() -> None:
    """Look after your own catalog: models that luci knows by name, beside those that it knows anyway.

    Where both know a name, yours wins.
    """


@command.command(
    "list",
    short_help="The models of your catalog.",
    epilog=_epilog(
        ["luci catalog list", "luci catalog list --json"],
        "With --json: one array of models, as `luci list --available --json` has them.",
    ),
)
@AS_JSON
def show_all(as_json: bool) -> int:
    """Show the models of your own catalog; `luci list --available` shows all."""
    from luci_dl.catalog import catalog
    from luci_dl.cli import catalog_table
    from luci_dl.library import installed as library

    try:
        settings = session.settings_for(None)
        own = catalog.read_user_file(settings.catalog) if settings.catalog else ()
        found = [catalog.load(settings.catalog).find(model.reference) for model in own]
        there = library.installed(session.all_folders(settings, None))
    except LuciError as error:
        return session.report(error, json=as_json)
    output = session.output()
    if not own and not as_json:
        output.say([f"You have no models of your own in {printable(str(settings.own_catalog))}; see luci catalog add"])
        return 0
    return catalog_table.show([model for model in found if model], there, settings, output, as_json=as_json)


@command.command(
    short_help="Say all that is wrong with a catalog.",
    epilog=_epilog(
        ["luci catalog check", "luci catalog check my-models.toml --json"],
        'With --json: one object with "file" (null: you have none), "models" and',
        '"files" (how many), "without_digest" (file names), "overrides" (each with',
        '"name", "model" and "built_in"), "warnings" and "problems" (texts).',
        "Exit code 2: there are problems.",
    ),
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@AS_JSON
def check(file: Path | None, as_json: bool) -> int:
    """Say all that is wrong with a catalog, what lacks a digest, and what it changes of the built-in one.

    Without FILE it is your own catalog.
    """
    from luci_dl.cli.catalog_check import tell

    try:
        settings = session.settings_for(None)
        return tell(file or settings.catalog, settings.own_catalog, as_json=as_json)
    except LuciError as error:
        return session.report(error, json=as_json)


@command.command(
    short_help="Add the entries of a file to your catalog.",
    epilog=_epilog(
        ["luci catalog add my-models.toml", "luci catalog add my-models.toml --force"],
        'With --json: one object with "file", and "added", "replaced" and',
        '"unchanged" (names).',
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace entries of the same name.")
@AS_JSON
def add(file: Path, force: bool, as_json: bool) -> int:
    """Add the entries of FILE, with the comments above them, to your own catalog; all of them or none."""
    from luci_dl.catalog import edit as curator
    from luci_dl.cli.catalog_update import COMMENTS_LOST, own_catalog_file

    try:
        shelf = own_catalog_file(session.settings_for(None))
        added = curator.add(shelf, file, force=force)
    except LuciError as error:
        return session.report(error, json=as_json)
    output = session.output()
    if as_json:
        names = {"added": added.new, "replaced": added.replaced, "unchanged": added.same}
        output.results([json.dumps({"file": str(shelf.file), **names})])
    else:
        output.results(_told(added, shelf))
        output.say([COMMENTS_LOST] if added.lost_comments and (added.new or added.replaced) else [])
    return 0


def _told(added: Added, shelf: CatalogFile) -> list[str]:
    kinds = {"Added": added.new, "Replaced": added.replaced, "Already there": added.same}
    lines = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    return [*lines, f"Your catalog: {printable(str(shelf.file))}"]


@command.command(
    short_help="Compare your catalog with the Hub.",
    epilog=_epilog(
        ["luci catalog update --dry-run", "luci catalog update my-model --pin"],
        'With --json: one object with "file", "written", "compared", "skipped",',
        '"not_on_hub" (how many files), "changes" (each with "model", "file", "key",',
        '"old", null for unknown, and "new") and "problems" (each with "message",',
        '"hint" and "exit_code"; the first one\'s is that of the command).',
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--pin", is_flag=True, help="Write the commit of files that have none, too.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would change.")
@AS_JSON
def update(names: tuple[str, ...], pin: bool, dry_run: bool, as_json: bool) -> int:
    """Ask the Hub for the sizes, digests and commits of the files in your catalog, and write what has changed.

    What is known is never replaced by nothing. Comments and order stay. NAMEs limit it to those models.
    """
    from luci_dl.cli.catalog_update import own_catalog_file, run

    try:
        settings = session.settings_for(None)
    except LuciError as error:
        return session.report(error, json=as_json)
    return run(settings, own_catalog_file(settings), names, pin=pin, dry_run=dry_run, as_json=as_json)
