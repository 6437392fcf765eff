"""The report of `luci catalog check`."""

from __future__ import annotations

from pathlib import Path

from luci_dl.api.catalog import Checked, Override, check_built_in, check_file
from luci_dl.cli import session
from luci_dl.cli.json_answers import answer
from luci_dl.errors import UsageError
from luci_dl.text import counted, printable
from luci_dl.ui.stream import Output

_MAX_NAMES = 5
"""How many files without a digest are named."""


def report(path: Path | None, own: Path, *, as_json: bool) -> int:
    """Check the catalog at `path` and report. Returns: the exit code.

    Args:
        path: None if the user has no catalog.
        own: where that would be.

    Raises: UsageError, when the catalog cannot be read.
    """
    checked = Checked(()) if path is None else check_file(path)
    output = session.output()
    if as_json:
        output.results([answer("catalog check", checked, file=path)])
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
