"""`luci catalog`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from luci_dl.api.config import settings
from luci_dl.cli import session
from luci_dl.cli.json_answers import answer
from luci_dl.errors import LuciError
from luci_dl.text import printable

EPILOG = """\b
Examples:
  luci catalog add my-models.toml
  luci catalog list
  luci catalog check
  luci catalog update --dry-run

\b
Your catalog is the file that LUCI_CATALOG names, or `catalog` in config.json,
or else catalog.toml in luci's own folder.
"""


def _epilog(examples: Sequence[str], *more: str) -> str:
    shown = ["\b", "Examples:", *(f"  {line}" for line in examples)]
    return "\n".join([*shown, "", "\b", *more])


AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs, on stdout.")


@click.group(epilog=EPILOG)
def command() -> None:
    """Manage your own catalog: models to install by name, in addition to the built-in ones.

    A name in your catalog overrides the same name in the built-in one.
    """


@command.command(
    "list",
    short_help="List the models in your catalog.",
    epilog=_epilog(
        ["luci catalog list", "luci catalog list --json"],
        "With --json: one array of models, as in `luci list --available --json`.",
    ),
)
@AS_JSON
def show_all(as_json: bool) -> int:
    """List the models in your own catalog; `luci list --available` lists all."""
    from luci_dl.api.catalog import offers, own_models
    from luci_dl.cli import catalog_table

    try:
        found = settings()
        own = offers(own_models(found), found)
    except LuciError as error:
        return session.report(error, json=as_json)
    output = session.output()
    if not own and not as_json:
        output.say([f"No models in {printable(str(found.own_catalog))}. Add some with `luci catalog add`."])
        return 0
    return catalog_table.show(own, output, as_json=as_json)


@command.command(
    short_help="Check a catalog for problems.",
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
    """Report all problems of a catalog, its files without a digest, and its overrides of the built-in catalog.

    Without FILE, check your own catalog.
    """
    from luci_dl.cli.catalog_check import report

    try:
        found = settings()
        return report(file or found.catalog, found.own_catalog, as_json=as_json)
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
    """Add the entries of FILE, with the comments above them, to your own catalog: all of them or none."""
    from luci_dl.api import catalog_edit

    try:
        catalog_file = catalog_edit.own_file(settings())
        added = catalog_edit.add(catalog_file, file, force=force)
    except LuciError as error:
        return session.report(error, json=as_json)
    if as_json:
        lines = [answer("catalog add", added, file=catalog_file.file)]
    else:
        kinds = {"Added": added.new, "Replaced": added.replaced, "Already there": added.same}
        lines = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
        lines.append(f"Your catalog: {catalog_file.shown}")
    session.output().results(lines)
    return 0


@command.command(
    short_help="Update your catalog from the Hub.",
    epilog=_epilog(
        ["luci catalog update --dry-run", "luci catalog update my-model --pin"],
        'With --json: one object with "file", "written", "compared", "skipped",',
        '"not_on_hub" (how many files), "changes" (each with "model", "file", "key",',
        '"old", null for unknown, and "new") and "problems" (each with "message",',
        '"hint" and "exit_code"; the first one\'s is that of the command).',
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--pin", is_flag=True, help="Also write the commit of files that have none.")
@click.option("-n", "--dry-run", is_flag=True, help="Only report what would change.")
@AS_JSON
def update(names: tuple[str, ...], pin: bool, dry_run: bool, as_json: bool) -> int:
    """Ask the Hub for the sizes, digests and commits of the files in your catalog, and write what has changed.

    A known value is never removed; comments and order are kept. NAMEs limit the update to those models.
    """
    from luci_dl.api.catalog_edit import own_file
    from luci_dl.cli.catalog_update import run

    try:
        found = settings()
    except LuciError as error:
        return session.report(error, json=as_json)
    return run(found, own_file(found), names, pin=pin, dry_run=dry_run, as_json=as_json)
