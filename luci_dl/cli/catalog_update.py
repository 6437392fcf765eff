"""Runs `luci catalog update`, and the same for the built-in catalog (scripts/update_catalog.py)."""

from __future__ import annotations

from collections.abc import Sequence

from luci_dl.api.catalog_edit import CatalogFile, Change, Refreshed, update
from luci_dl.api.config import Settings
from luci_dl.cancel import CancelToken
from luci_dl.cli import session
from luci_dl.cli.json_answers import answer
from luci_dl.events import Emit, Failed, ignore
from luci_dl.text import counted, printable


def run(
    settings: Settings, catalog_file: CatalogFile, names: Sequence[str], *, pin: bool, dry_run: bool, as_json: bool
) -> int:
    """Compare the catalog with the Hub, write the changes and report them. Returns: the first problem's exit code."""

    def work(token: CancelToken, emit: Emit) -> int:
        log = ignore if as_json else emit  # with --json the result is one object
        if not as_json:
            session.output().say([f"Asking the Hub about the files of {catalog_file.shown} ..."])
        result = update(catalog_file, settings, names, token, log, pin=pin, dry_run=dry_run)
        _report(result, catalog_file, emit, dry_run=dry_run, as_json=as_json)
        return result.problems[0].exit_code if result.problems else 0

    return session.run(work, json=as_json, what="Update")


def _report(result: Refreshed, catalog_file: CatalogFile, emit: Emit, *, dry_run: bool, as_json: bool) -> None:
    output = session.output()
    if as_json:
        written = bool(result.changes) and not dry_run
        output.results([answer("catalog update", result, file=catalog_file.file, written=written)])
        return
    output.results(map(_line, result.changes))
    for problem in result.problems:
        emit(Failed("", problem.message, problem.hint, problem.exit_code))
    output.say([_summary(result, catalog_file, dry_run=dry_run)])


def _line(change: Change) -> str:
    old = "unknown" if change.old is None else _short(change.old)
    return printable(f"{change.model}, {change.file}: {change.key} {old} -> {_short(change.new)}")


def _short(value: str | int) -> str:
    return f"{value[:12]}..." if isinstance(value, str) else str(value)


def _summary(result: Refreshed, catalog_file: CatalogFile, *, dry_run: bool) -> str:
    elsewhere = f", {result.elsewhere} not on the Hub" if result.elsewhere else ""
    left = f", {result.left} could not be compared" if result.left else ""
    changes = counted(len(result.changes), "change")
    written = "" if dry_run or not result.changes else f" written to {catalog_file.shown}"
    return f"Compared {counted(result.compared, 'file')} with the Hub{elsewhere}{left}: {changes}{written}"
