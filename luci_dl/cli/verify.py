"""`luci verify`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from luci_dl.cancel import CancelToken
from luci_dl.cli import complete, options, session
from luci_dl.errors import IntegrityError, LuciError, StorageError
from luci_dl.events import Emit, Verified, Warned

_STATES = """\b
Each file is one line on stdout, which begins with its state:
  ok          as it was installed
  newer       as it was installed, but the catalog has other bytes now
  changed     its bytes differ from those that were installed; it says where
  truncated   shorter than it was installed, or than its header says
  invalid     another kind of file than its name says, such as a web page
  missing     does not exist any more
  unreadable  the disk could not read it
  unmanaged   a model file that luci did not install; not an error

Exit codes: 3 not installed, 5 a file is damaged, 6 a file cannot be read.
"""


@click.command(epilog=options.examples("luci verify", "luci verify mistral", "luci verify --repair", more=_STATES))
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.installed)
@options.folder("Look into this models folder only.")
@options.flag(
    "--repair", help="Install damaged files again; of each, only the damaged blocks are fetched where those are known."
)
@options.no_lan
@options.json_events
@options.quiet
def command(names: tuple[str, ...], folder: str | None, repair: bool, no_lan: bool, as_json: bool, quiet: bool) -> int:
    """Check that installed files are unchanged.

    Each file is read and compared with what was installed and with what the catalog says now. NAME is a name or alias
    from the catalog, an address as it was installed, or a file name; without NAMEs, all models are verified.
    """

    def work(token: CancelToken, emit: Emit) -> int:
        from luci_dl.api.verify import check

        verdicts, error = check(names, folder, token, emit, repair=repair, lan=not no_lan)
        if not (verdicts or error):
            emit(Warned("no models are installed, so there is nothing to verify"))
        wrong = [verdict for verdict in verdicts if verdict.wrong]
        if wrong and not repair:
            raise _error(wrong, sum(verdict.state != "unmanaged" for verdict in verdicts))
        return error.exit_code if error else 0

    return session.run(work, json=as_json, quiet=quiet, what="Verification")


def _error(wrong: Sequence[Verified], files: int) -> LuciError:
    be, it = ("is", "it") if len(wrong) == 1 else ("are", "them")
    what, repair = f"{len(wrong)} of {files} files {be} not as luci installed {it}", "`luci verify --repair` installs"
    if all(verdict.state == "unreadable" for verdict in wrong):
        return StorageError(what, f"Check the disk, and who may read there; {repair} {it} again.")
    return IntegrityError(what, f"{repair} {it} again.")
