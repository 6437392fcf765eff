"""What `luci catalog check` tells."""

from __future__ import annotations

import json
from pathlib import Path

from luci_dl.catalog.check import Checked, Override, check_built_in, check_file
from luci_dl.cli import session
from luci_dl.cli.json_shapes import CatalogCheck
from luci_dl.errors import UsageError
from luci_dl.text import counted, printable
from luci_dl.ui.stream import Output

_SHOWN = 5
"""How many files without digest are named."""


def tell(path: Path | None, own: Path, *, as_json: bool) -> int:
    """Check the catalog at `path`; None: the user has none, it would be at `own`. Returns: the exit code.

    Raises: UsageError, when it cannot be read.
    """
    checked = Checked(()) if path is None else check_file(path)
    output = session.output()
    if as_json:
        output.results([json.dumps(_facts(checked, path))])
        return UsageError.exit_code if checked.problems else 0
    if path is None:
        output.results([f"You have no catalog of your own yet: it would be {printable(str(own))}"])
    elif not checked.problems:
        output.results([_count(printable(str(path)), checked)])
    output.results([_count("Built in", check_built_in())])
    return _warn(checked, output)


def _warn(checked: Checked, output: Output) -> int:
    output.say([f"⚠️  {printable(line)}" for line in (*map(_override, checked.overrides), *checked.warnings)])
    if not checked.problems:
        return 0
    hint = "No command takes the file as long as that is so."
    return session.report(UsageError("\n".join(checked.problems), hint))


def _count(what: str, checked: Checked) -> str:
    bare = checked.without_digest
    more = f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
    which = f", {len(bare)} without a digest: {printable(', '.join(bare[:_SHOWN]))}{more}" if bare else ""
    return f"{what}: {counted(len(checked.models), 'model')}, {counted(checked.files, 'file')}{which}"


def _override(override: Override) -> str:
    if override.word == override.model and override.word.casefold() == override.built_in.casefold():
        return f"{override.model} takes the place of the built-in model of that name"
    return f'"{override.word}" leads to {override.model}, no more to the built-in {override.built_in}'


def _facts(checked: Checked, path: Path | None) -> CatalogCheck:
    return {
        "file": None if path is None else str(path),
        "models": len(checked.models),
        "files": checked.files,
        "without_digest": checked.without_digest,
        "overrides": [
            {"name": each.word, "model": each.model, "built_in": each.built_in} for each in checked.overrides
        ],
        "warnings": checked.warnings,
        "problems": checked.problems,
    }
