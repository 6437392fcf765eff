"""`luci catalog`."""

from __future__ import annotations

from pathlib import Path

import click

from luci_dl.api.catalog import Checked, Override, check_built_in, check_file, offers, own_models
from luci_dl.api.config import settings
from luci_dl.cli import catalog_table, options, session
from luci_dl.cli.json_answers import answer
from luci_dl.errors import UsageError
from luci_dl.text import counted, printable

_MAX_NAMES = 5
"""How many files without a digest are named."""


@click.group(
    epilog=options.examples(
        "luci catalog add my-models.toml",
        "luci catalog list",
        "luci catalog check",
        "luci catalog update --dry-run",
        more="Your catalog is the file that LUCI_CATALOG names, or `catalog` in config.json, or else catalog.toml in "
        "luci's own folder.",
    )
)
def command() -> None:
    """Manage your own catalog: models to install by name, in addition to the built-in ones.

    A name in your catalog overrides the same name in the built-in one.
    """


@command.command(
    "list",
    epilog=options.examples("luci catalog list", "luci catalog list --json"),
)
@options.json_answer
def show_all(as_json: bool) -> int:
    """List the models in your own catalog. `luci list --available` lists all."""
    found, output = settings(), session.output()
    own = offers(own_models(found), found)
    if not own and not as_json:
        output.say([f"No models in {printable(str(found.own_catalog))}. Add some with `luci catalog add`."])
        return 0
    return catalog_table.show(own, output, as_json=as_json)


@command.command(
    epilog=options.examples(
        "luci catalog check", "luci catalog check my-models.toml --json", more="Exit code 2: there are problems."
    ),
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@options.json_answer
def check(file: Path | None, as_json: bool) -> int:
    """Check a catalog for problems.

    Its files without a digest and its overrides of the built-in catalog are reported, too. Without FILE,
    your own catalog is checked.
    """
    found, output = settings(), session.output()
    path = file or found.catalog
    checked = Checked(()) if path is None else check_file(path)
    if as_json:
        output.results([answer("catalog check", checked, file=path)])
        return UsageError.exit_code if checked.problems else 0
    if path is None:
        output.results([f"You have no catalog of your own yet: it would be {printable(str(found.own_catalog))}"])
    elif not checked.problems:
        output.results([_count(printable(str(path)), checked)])
    output.results([_count("Built in", check_built_in())])
    output.say([f"⚠️  {printable(line)}" for line in (*map(_override, checked.overrides), *checked.warnings)])
    if not checked.problems:
        return 0
    return session.report(UsageError("\n".join(checked.problems), "No command accepts the file until this is fixed."))


def _count(what: str, checked: Checked) -> str:
    bare = checked.without_digest
    more = f" and {len(bare) - _MAX_NAMES} more" if len(bare) > _MAX_NAMES else ""
    which = f", {len(bare)} without a digest: {printable(', '.join(bare[:_MAX_NAMES]))}{more}" if bare else ""
    return f"{what}: {counted(len(checked.models), 'model')}, {counted(checked.files, 'file')}{which}"


def _override(override: Override) -> str:
    if override.word == override.model and override.word.casefold() == override.built_in.casefold():
        return f"{override.model} overrides the built-in model of that name"
    return f'"{override.word}" now means {override.model}, not the built-in {override.built_in}'


@command.command(
    epilog=options.examples("luci catalog add my-models.toml", "luci catalog add my-models.toml --force"),
)
@click.argument("file", type=click.Path(path_type=Path))
@options.flag("--force", help="Replace entries of the same name.")
@options.json_answer
def add(file: Path, force: bool, as_json: bool) -> int:
    """Add the entries of FILE to your own catalog. All of them are added, with the comments above them, or none."""
    from luci_dl.api import catalog_edit

    catalog_file = catalog_edit.own_file(settings())
    added = catalog_edit.add(catalog_file, file, force=force)
    if as_json:
        lines = [answer("catalog add", added, file=catalog_file.file)]
    else:
        kinds = {"Added": added.new, "Replaced": added.replaced, "Already there": added.same}
        lines = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
        lines.append(f"Your catalog: {catalog_file.shown}")
    session.output().results(lines)
    return 0


@command.command(
    epilog=options.examples("luci catalog update --dry-run", "luci catalog update my-model --pin"),
)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.flag("--pin", help="Also write the commit of files that have none.")
@options.flag("-n", "--dry-run", help="Only report what would change.")
@options.json_answer
def update(names: tuple[str, ...], pin: bool, dry_run: bool, as_json: bool) -> int:
    """Update your catalog from the Hub.

    The Hub is asked for the sizes, digests and commits of the files, and what has changed is written. A known
    value is never removed; comments and order are kept. NAMEs limit the update to those models.
    """
    from luci_dl.api.catalog_edit import own_file
    from luci_dl.cli.catalog_update import run

    found = settings()
    return run(found, own_file(found), names, pin=pin, dry_run=dry_run, as_json=as_json)
