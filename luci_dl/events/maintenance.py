"""Events of the commands that look after what is installed: clean, verify, remove, doctor."""

from __future__ import annotations

from typing import Literal

from luci_dl.events.base import Event, Result
from luci_dl.frozen import frozen

Verdict = Literal["ok", "newer", "changed", "truncated", "invalid", "missing", "unreadable", "unmanaged"]


@frozen
class Cleaned(Result):
    """`clean` removed the file at `path`, or would in a dry run; `freed` bytes on disk.

    `kind`: "part", "journal", "receipt", "lock", "commit record" or "rehearsal" (an empty file with
    which an install tried whether it can move files there).
    """

    path: str
    kind: str
    freed: int
    dry_run: bool


@frozen
class RolledForward(Event):
    """An install that a crash interrupted after its last check was completed: `name` is installed."""

    name: str


@frozen
class CleanSummary(Event):
    """The end of `clean`: files `removed` and bytes `freed` (in a dry run: to be), and files `left_alone`."""

    removed: int
    freed: int
    left_alone: int
    dry_run: bool


@frozen
class LeftAlone(Event):
    """`clean`, `remove`, `move` or `upgrade` left the file at `path` as it is, for `reason`."""

    path: str
    reason: str


@frozen
class Verified(Result):
    """`verify` checked the file at `path`.

    `state`: "ok"; "newer" (as it was installed, but the catalog now names other bytes); "changed"; "truncated";
    "invalid" (another kind of file than its name says); "missing"; "unreadable"; "unmanaged" (luci did not install it;
    `reference` is empty). `expected` and `found` describe the difference; empty where the state says it all.
    `damaged`: of a changed file, the first byte and the one after the last of each range with wrong bytes, in order, to
    the MiB; empty where that is not known.
    """

    name: str
    path: str
    reference: str
    state: Verdict
    expected: str = ""
    found: str = ""
    damaged: tuple[tuple[int, int], ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether luci installed it, and it is not as it was then."""
        return self.state not in ("ok", "newer", "unmanaged")

    @property
    def is_problem(self) -> bool:
        return self.wrong


@frozen
class VerifySummary(Event):
    """The end of `verify`: installed `files` checked, how many of them are `wrong`, and `unmanaged` files found."""

    files: int
    wrong: int
    unmanaged: int


@frozen
class Removed(Result):
    """The model `reference` was uninstalled (or would be): the files at `paths`, `freed` bytes on disk."""

    reference: str
    paths: tuple[str, ...]
    freed: int
    dry_run: bool


@frozen
class Linked(Result):
    """The model `reference` is linked to the program `target` (or would be), below its folder `root`.

    `name`: what the program calls it. `how`: "reflink", "hardlink", "symlink", "copy", or empty where no file had to be
    made. `usage`: a command that uses it; may be empty.
    """

    reference: str
    target: str
    name: str
    root: str
    paths: tuple[str, ...]
    how: str
    usage: str
    dry_run: bool


@frozen
class Unlinked(Result):
    """The link of the model `reference` to the program `target` was removed (or would be), with those at `paths`."""

    reference: str
    target: str
    name: str
    paths: tuple[str, ...]
    dry_run: bool


@frozen
class Moved(Result):
    """The model `reference`, which is in `source`, is in `folder` now (or would be), its files at `paths`.

    `outcome`: "moved" (it is no longer in `source`), "exported", "imported", "pushed" (`folder` and `paths`
    are addresses in a bucket), or "already" (it was there). `size` is
    that of all files, and `copied` of it was copied; the rest shares blocks or got new names.
    """

    reference: str
    paths: tuple[str, ...]
    source: str
    folder: str
    outcome: str
    size: int
    copied: int
    dry_run: bool


@frozen
class ExportSummary(Event):
    """The end of `export`: the `folder` now has `files` of `size` bytes in all that its `sums` list, and is synced."""

    folder: str
    files: int
    size: int
    sums: str


@frozen
class Finding(Result):
    """`doctor` or `demo` checked `topic`. `level`: "ok", "warning", or "error" (then with its exit code)."""

    topic: str
    level: str
    message: str
    hint: str
    exit_code: int


@frozen
class ServeStarted(Event):
    """`serve` answers at `address`, with the models in `folder`; `pull`: it fetches what is missing.

    `for_others`: other machines can reach it.
    """

    address: str
    folder: str
    pull: bool
    for_others: bool
