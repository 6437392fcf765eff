"""What luci keeps in a models folder besides the models: receipts, parts, journals, locks, commit records."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from luci_dl.disk import commit, fs, journal, layout, lock_reliability, receipt
from luci_dl.disk.journal import Log
from luci_dl.disk.layout import OnError, Staging, split_suffix, staging_at
from luci_dl.disk.lock import is_held, read_lock_info
from luci_dl.disk.lock_info import LockInfo
from luci_dl.disk.lock_reliability import Owner
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from luci_dl.frozen import frozen

T = TypeVar("T")


@frozen
class PrivateFiles:
    """Staging files that only the process `owner` uses; `name` is the target's, empty where their journal has none."""

    base: Path
    owner: Owner
    name: str
    paths: tuple[Path, ...]


def skip(_path: Path, _error: StorageError) -> None:
    """An `OnError` for which what cannot be read does not matter."""


class ModelsFolder:
    """luci's own files in a models folder: those that were there when it was first asked. It changes nothing.

    A file that is damaged is left out: `clean` removes it.

    Args:
        on_error: called for each folder or file that cannot be read or has another format; everything else is
            found nevertheless.
    """

    def __init__(self, path: Path, on_error: OnError = skip) -> None:
        self.path = path.absolute()
        self._on_error = on_error

    @functools.cached_property
    def _tree(self) -> tuple[list[Path], list[Path]]:
        return layout.walk_staging(self.path, self._on_error)

    def receipts(self) -> Iterator[Receipt]:
        """Of all installed files."""
        return (known for _, known in self._read(layout.RECEIPT, receipt.read))

    def damaged_receipts(self) -> Iterator[Path]:
        """The paths of receipts that are no receipts."""
        known = {path for path, _ in self._read(layout.RECEIPT, receipt.read)}
        return (path for path in self._tree[0] if path.name.endswith(layout.RECEIPT) and path not in known)

    def journals(self) -> Iterator[tuple[Staging, Log]]:
        """Of all parts that are being fetched or may be resumed; not of those that are private to a process."""
        for path, log in self._read(layout.JOURNAL, journal.read):
            staging = staging_at(self.path, path.with_suffix(""), log.header.name)
            if staging.name:
                yield staging, log

    def holders(self) -> Iterator[LockInfo]:
        """Who holds each lock that is held, if the holder has written who it is."""
        for path, _ in self._read(layout.LOCK, fs.is_own):
            info = read_lock_info(path)
            if info and not info.outcome and is_held(path):
                yield info

    def commit_records(self) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """All commit records, with the names of the targets: these are complete, but not all of them are renamed."""
        for path, files in self._read(layout.COMMIT, commit.read_record):
            yield path, tuple(name for name, _ in files)

    def stagings(self) -> Iterator[Staging]:
        """Of each target that has staging files which its lock protects: `named`."""
        return (self.named(base) for base in self._bases() if not lock_reliability.owner_of(base.name))

    def named(self, base: Path) -> Staging:
        """The staging with that base, and the target's name if its lock, journal or receipt has it now."""
        unnamed = staging_at(self.path, base, None)
        info = read_lock_info(unnamed.lock)
        if info:
            return staging_at(self.path, base, info.name)
        try:
            log, known = journal.read(unnamed.journal), receipt.read(unnamed.receipt)
        except StorageError:
            return unnamed
        return staging_at(self.path, base, log.header.name if log else known.name if known else None)

    def name_of(self, staging: Staging) -> str:
        """The target's name; where that is not known, the one that its staging files suggest."""
        return staging.name or str(staging.target.relative_to(self.path))

    def private_files(self) -> Iterator[PrivateFiles]:
        """For each process that has its own staging files."""
        kinds = (layout.PART, layout.JOURNAL, layout.RECEIPT + layout.NEW)
        names = {path.with_suffix(""): log.header.name for path, log in self._read(layout.JOURNAL, journal.read)}
        for base, paths in self._bases().items():
            if owner := lock_reliability.owner_of(base.name):
                own = tuple(path for path, suffix in paths if suffix in kinds)
                yield PrivateFiles(base, owner, names.get(base, ""), own)

    def folders(self) -> list[Path]:
        """The folders that luci makes for these files, inner ones first."""
        return [path for path in reversed(self._tree[1]) if not split_suffix(path)]

    def rehearsals(self) -> Iterator[Path]:
        """The empty files that a kill left beside the models, from when `disk/place.py` tried to move one there."""
        staged = layout.staging_folder(self.path)
        for folder in self._tree[1]:
            with contextlib.suppress(OSError):
                found = sorted((self.path / folder.relative_to(staged)).iterdir())
                yield from (path for path in found if path.name.startswith(layout.REHEARSAL))

    def _bases(self) -> dict[Path, list[tuple[Path, str]]]:
        """The files by their base, each with its suffix."""
        found: dict[Path, list[tuple[Path, str]]] = {}
        for path in self._tree[0]:
            if split := split_suffix(path):
                found.setdefault(split[0], []).append((path, split[1]))
        return found

    def _read(self, suffix: str, read: Callable[[Path], T | None]) -> Iterator[tuple[Path, T]]:
        """What `read` makes of each file with the suffix, where it makes anything of it."""
        for path in self._tree[0]:
            if path.name.endswith(suffix):
                try:
                    content = read(path)
                except StorageError as error:
                    self._on_error(path, error)
                    continue
                if content:
                    yield path, content
