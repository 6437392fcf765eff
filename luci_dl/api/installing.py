"""Installing models, and what that would mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luci_dl.api.asking import Folder
from luci_dl.api.asking import settings as settings_of
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.cancel import CancelToken
from luci_dl.disk.transaction import ignore
from luci_dl.errors import UsageError
from luci_dl.events import Emit, Event, Failed, Room, WouldInstall
from luci_dl.install.request import InstallRequest
from luci_dl.plan import Options
from luci_dl.sources.selection import FileSelection
from luci_dl.text import shown


@dataclass(frozen=True)
class Forecast:
    """What an install would do, as far as that can be told without changing anything.

    Attributes:
        files: what would be done about each file.
        room: for each file system, what is needed there and what is free.
        failed: what would go wrong, each with the exit code that `luci install` would have.
    """

    files: tuple[WouldInstall, ...]
    room: tuple[Room, ...]
    failed: tuple[Failed, ...]


def install(
    *words: str,
    folder: Folder = None,
    output: str | None = None,
    sha256: str | None = None,
    choice: FileSelection | None = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Path]:
    """Install models, as `luci install WORD...` does. Usable in any thread.

    Args:
        words: names, aliases, groups ("core models"), addresses.
        folder: the models folder; by default the one that the command line uses.
        output, sha256: file name and digest, for one reference to a single file.
        choice: which files, where the words alone do not say.
        options: how; by default as the command line, with the settings of config.json.
        token: cancel it from elsewhere to stop; what was not finished is rolled back then.
        emit: called with each event, from any thread. What it raises stops the install as the token does.

    Returns: the paths of all files of all models, in the order of the words.
    Raises: LuciError, the first one; models that did not fail are installed all the same (but not after a full disk).
        What `emit` raised.
    """
    with EmitGuard(token, emit) as guard:
        order = _order(words, folder, _choice(choice, output, sha256), options, guard)
        outcomes = order.install(order.plans())
        for outcome in outcomes:
            if outcome.error:
                raise outcome.error
        if not all(outcome.installed for outcome in outcomes):
            guard.token.check()  # the wish came between two models
        return [Path(path) for outcome in outcomes if outcome.installed for path in outcome.installed.paths]


def forecast(
    *words: str,
    folder: Folder = None,
    output: str | None = None,
    sha256: str | None = None,
    choice: FileSelection | None = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> Forecast:
    """What `install` would do with the same arguments, as `luci install --dry-run` tells it; nothing is changed.

    Raises: LuciError, when the words lead nowhere or servers that must be asked do not answer; what `emit` raised.
    """
    told: list[Event] = []

    def note(event: Event) -> None:
        told.append(event)
        emit(event)

    with EmitGuard(token, note) as guard:
        order = _order(words, folder, _choice(choice, output, sha256), options, guard)
        order.forecast()
    return Forecast(
        tuple(event for event in told if isinstance(event, WouldInstall)),
        tuple(event for event in told if isinstance(event, Room)),
        tuple(event for event in told if isinstance(event, Failed)),
    )


def _order(
    words: Sequence[str], folder: Folder, choice: FileSelection, options: Options | None, guard: EmitGuard
) -> InstallRequest:
    if not all(isinstance(word, str) for word in words):
        raise UsageError(f'expected words like "llama3.2", found {shown(words)}', "install(*words), not a list.")
    settings = settings_of(folder)
    options = options or settings.options
    choice = replace(choice, unverified=choice.unverified or options.unverified)
    split = [part for word in words for part in word.split()]
    named = folder is not None
    return InstallRequest.resolve(split, settings, choice, options, guard.token, guard.emit, named_folder=named)


def _choice(choice: FileSelection | None, output: str | None, sha256: str | None) -> FileSelection:
    choice = choice or FileSelection()
    return replace(choice, output=output or choice.output, sha256=sha256 or choice.sha256)
