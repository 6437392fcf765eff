"""What could not be read in models folders: each is reported once, and the rest is answered."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from luci_dl.disk.layout import staging_folder
from luci_dl.disk.storage_errors import storage_error
from luci_dl.errors import ResolveError, StorageError
from luci_dl.events import Emit, Event, Warned


class Problems:
    """Called with each path that could not be read and the reason; emits a warning the first time."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._found: dict[Path, StorageError] = {}

    def __call__(self, path: Path, error: StorageError) -> None:
        if path not in self._found:
            self._found[path] = error
            self._emit(Warned(f"{error.message}. {error.hint}".rstrip(". ")))

    def __len__(self) -> int:
        return len(self._found)

    @property
    def first(self) -> StorageError | None:
        """The first of them, if there is any."""
        return next(iter(self._found.values()), None)

    @contextlib.contextmanager
    def explain(self) -> Iterator[None]:
        """Hold back the warnings, and emit them at the end, without the one that is in the error.

        Raises: StorageError, in place of a ResolveError: what was not found may be where nothing could be read.
        """
        emit, held, were_any = self._emit, list[Event](), bool(self._found)
        self._emit = held.append
        try:
            yield
        except ResolveError as error:
            if self.first is None:
                raise
            del held[: 0 if were_any else 1]
            stop = "" if error.message.endswith("?") else "."
            what = f"{error.message}{stop} Not everything could be looked into: {self.first.message}"
            raise StorageError(what, self.first.hint) from error
        finally:
            self._emit = emit
            for event in held:
                emit(event)


def unreadable(folder: Path) -> StorageError | None:
    """The problem if luci's files in the models folder cannot be read at all."""
    staging = staging_folder(folder)
    try:
        os.scandir(staging).close()
    except FileNotFoundError:
        return dangling(folder)
    except OSError as error:
        return storage_error("read", staging, error)
    return None


def dangling(folder: Path) -> StorageError | None:
    """The problem if the models folder is a symlink that leads nowhere."""
    if not folder.is_symlink() or folder.exists():
        return None
    hint = "Is its disk mounted? If it is gone for good, delete the symlink."
    return StorageError(f"the models folder {folder} is a symlink to {folder.readlink()}, which is missing", hint)


def missing(folder: Path) -> StorageError | None:
    """The problem if nothing is left of what luci installed into the folder: its disk may not be mounted."""
    try:
        os.lstat(staging_folder(folder))
    except FileNotFoundError:
        what = "has none of the files that luci installed into it" if os.path.isdir(folder) else "is missing"
        hint = f"Is its disk mounted? If it is gone for good: luci config unset folders {shlex.quote(str(folder))}"
        return StorageError(f"the models folder {folder} {what}", hint)
    except OSError:  # it is there, and reading it gives the reason
        return None
    return None
