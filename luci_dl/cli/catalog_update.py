"""Comparing a catalog with the Hub, and telling what has changed: of the user's own, and of luci's (`scripts/`)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from luci_dl.cancel import CancelToken
from luci_dl.catalog.catalog import BUILT_IN
from luci_dl.catalog.edit import CatalogFile, Updated, update
from luci_dl.catalog.refresh import Change, Refreshed
from luci_dl.cli import json_shapes, session
from luci_dl.config.settings import Settings
from luci_dl.disk.transaction import ignore
from luci_dl.events import Emit, Failed
from luci_dl.text import counted, printable

COMMENTS_LOST = "It was in another form (inline tables), and is written anew: comments in it are gone."


def own_catalog_file(settings: Settings) -> CatalogFile:
    """The user's own catalog."""
    return CatalogFile(settings.own_catalog, settings.home / "catalog.lock")


def built_in_catalog_file(settings: Settings) -> CatalogFile:
    """luci's own catalog, in a checkout."""
    return CatalogFile(BUILT_IN, settings.home / "catalog.lock")


def run(
    settings: Settings, shelf: CatalogFile, names: Sequence[str], *, pin: bool, dry_run: bool, as_json: bool
) -> int:
    """Compare, write and tell. Returns: the exit code: of the first repository of which the Hub said nothing."""

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.install.servers import network_for
        from luci_dl.sources.context import ResolveContext
        from luci_dl.sources.endpoints import endpoints_of

        options = settings.options
        told = ignore if as_json else emit  # the answer is one object
        web = ResolveContext(network_for(os.environ, options), endpoints_of(os.environ), token, told, options.retries)
        if not as_json:
            session.output().say([f"Asking the Hub about the files of {printable(str(shelf.file))} ..."])
        done = update(shelf, web, names, pin=pin, dry_run=dry_run)
        _tell(done, shelf, emit, dry_run=dry_run, as_json=as_json)
        return done.result.problems[0].exit_code if done.result.problems else 0

    return session.run(work, json=as_json, what="Update")


def _tell(done: Updated, shelf: CatalogFile, emit: Emit, *, dry_run: bool, as_json: bool) -> None:
    output, result = session.output(), done.result
    if as_json:
        output.results([json.dumps(_facts(result, shelf, dry_run=dry_run))])
        return
    output.results([_line(change) for change in result.changes])
    for problem in result.problems:
        emit(Failed("", problem.message, problem.hint, problem.exit_code))
    output.say(_summary(done, shelf, dry_run=dry_run))


def _line(change: Change) -> str:
    old = "unknown" if change.old is None else _short(change.old)
    return printable(f"{change.model}, {change.file}: {change.key} {old} -> {_short(change.new)}")


def _short(value: str | int) -> str:
    return f"{value[:12]}..." if isinstance(value, str) else str(value)


def _summary(done: Updated, shelf: CatalogFile, *, dry_run: bool) -> list[str]:
    result = done.result
    others = f", {result.elsewhere} not there" if result.elsewhere else ""
    left = f", {result.left} left as they were" if result.left else ""
    changes = counted(len(result.changes), "change")
    written = "" if dry_run or not result.changes else f" written to {printable(str(shelf.file))}"
    lines = [f"Compared {counted(result.compared, 'file')} with the Hub{others}{left}: {changes}{written}"]
    return [*lines, COMMENTS_LOST] if written and done.lost_comments else lines


def _facts(result: Refreshed, shelf: CatalogFile, *, dry_run: bool) -> json_shapes.CatalogUpdate:
    return {
        "file": str(shelf.file),
        "written": bool(result.changes) and not dry_run,
        "compared": result.compared,
        "skipped": result.left,
        "not_on_hub": result.elsewhere,
        "changes": [cast("json_shapes.Change", asdict(change)) for change in result.changes],
        "problems": [
            {"message": problem.message, "hint": problem.hint, "exit_code": problem.exit_code}
            for problem in result.problems
        ],
    }
