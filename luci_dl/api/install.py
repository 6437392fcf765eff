"""`luci install`: installing models, and what that would do (`--dry-run`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.api.config import Folder
from luci_dl.api.config import settings as settings_of
from luci_dl.api.emit_guard import EmitGuard
from luci_dl.api.folders import missing_folder, without_missing_backup
from luci_dl.cancel import CancelToken
from luci_dl.errors import UsageError
from luci_dl.events import DiskSpace, Emit, Event, Failed, WouldInstall, ignore
from luci_dl.frozen import frozen
from luci_dl.install.batch import exit_code
from luci_dl.install.request import InstallRequest
from luci_dl.plan import Options
from luci_dl.sources.selection import FileSelection
from luci_dl.text import shown

__all__ = ["FileSelection", "Forecast", "InstallRequest", "exit_code", "forecast", "install"]


@frozen
class Forecast:
    """What an install would do, as far as that is known without changing anything.

    Attributes:
        files: what would be done about each file.
        room: for each file system, what is needed there and what is free.
        failed: what would go wrong, each with the exit code that `luci install` would have.
    """

    files: tuple[WouldInstall, ...]
    room: tuple[DiskSpace, ...]
    failed: tuple[Failed, ...]


def install(
    *words: str,
    folder: Folder = None,
    output: str | None = None,
    sha256: str | None = None,
    selection: FileSelection | None = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> list[Path]:
    """Install models, as `luci install WORD...` does. Usable in any thread.

    Args:
        words: names, aliases, groups ("core models"), addresses.
        folder: the models folder; by default the one that the command line uses.
        output, sha256: file name and digest, for one reference to a single file.
        selection: which files, if the words alone do not say.
        options: how; by default as the command line, with the settings of config.json.
        token: cancel it from elsewhere to stop; what is not finished is rolled back. KeyboardInterrupt cancels it too.
        emit: called with each event, from any thread. If it raises, the install stops as if cancelled.

    Returns: the paths of all files of all models, in the order of the words.
    Raises: the first LuciError; models that did not fail are installed all the same (except after a full disk).
        StorageError, before anything is done, if luci has used the folder before and it is missing now. What `emit`
        raised.
    """
    with EmitGuard(token, emit) as guard:
        settings = settings_of(folder)
        if error := missing_folder(settings, settings.models_dir):
            raise error
        request = _request(words, folder, _selected(selection, output, sha256), options, guard)
        outcomes = request.install(request.plans())
        for outcome in outcomes:
            if outcome.error:
                raise outcome.error
        if not all(outcome.installed for outcome in outcomes):
            guard.token.check()  # cancelled between two models
        return [Path(path) for outcome in outcomes if outcome.installed for path in outcome.installed.paths]


def forecast(
    *words: str,
    folder: Folder = None,
    output: str | None = None,
    sha256: str | None = None,
    selection: FileSelection | None = None,
    options: Options | None = None,
    token: CancelToken | None = None,
    emit: Emit = ignore,
) -> Forecast:
    """What `install` would do with the same arguments, as `luci install --dry-run` shows it; nothing is changed.

    Raises: LuciError, if the words cannot be resolved; what `emit` raised.
    """
    events: list[Event] = []

    def note(event: Event) -> None:
        events.append(event)
        emit(event)

    with EmitGuard(token, note) as guard:
        _request(words, folder, _selected(selection, output, sha256), options, guard).forecast()
    return Forecast(
        tuple(event for event in events if isinstance(event, WouldInstall)),
        tuple(event for event in events if isinstance(event, DiskSpace)),
        tuple(event for event in events if isinstance(event, Failed)),
    )


def _request(
    words: Sequence[str], folder: Folder, selection: FileSelection, options: Options | None, guard: EmitGuard
) -> InstallRequest:
    if not all(isinstance(word, str) for word in words):
        raise UsageError(f'expected words like "llama3.2", found {shown(words)}', "install(*words), not a list.")
    settings = without_missing_backup(settings_of(folder), guard.emit)
    options = options or settings.options
    selection = replace(selection, unverified=selection.unverified or options.unverified)
    split = [part for word in words for part in word.split()]
    named = folder is not None
    return InstallRequest.resolve(split, settings, selection, options, guard.token, guard.emit, named_folder=named)


def _selected(given: FileSelection | None, output: str | None, sha256: str | None) -> FileSelection:
    selection = given or FileSelection()
    return replace(selection, output=output or selection.output, sha256=sha256 or selection.sha256)
