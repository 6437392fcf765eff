"""Orphans: staging files whose lock nobody holds. What can be finished is finished first, the rest removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs, journal, lock_reliability, receipt
from luci_dl.disk.layout import FOLDER, Staging, staging_at
from luci_dl.disk.lock import Lock, is_held, read_lock_info
from luci_dl.errors import LockedError, LuciError, StorageError
from luci_dl.events import Cleaned, Emit, Event, LeftAlone, RolledForward
from luci_dl.names import STAGING_SUFFIXES

_NEW = ".new"  # what a crash leaves of a file that was being replaced
_KINDS = {".part": "part", ".journal": "journal", ".receipt": "receipt", ".commit": "commit record", ".lock": "lock"}


@dataclass(frozen=True)
class Report:
    """What a clean-up did: files removed (or to be removed, in a dry run), bytes freed on disk, files left alone."""

    removed: int
    freed: int
    left_alone: int
    failed: int = 0
    """Of those left alone, the ones that the system would not let go."""


def clean(folder: Path, targets: Collection[str] | None, dry_run: bool, token: CancelToken, emit: Emit) -> Report:
    """Clean the staging of one models folder. It asks the locks, never the clock.

    Args:
        targets: names below the folder to limit it to; None for all.

    Raises: Interrupted; StorageError, when the folder cannot be read.
    """
    sweep = _Sweep(folder.absolute(), targets, dry_run, token, emit)
    if not dry_run and not sweep.may_change():
        return Report(0, 0, sweep.left_alone, sweep.failed)
    sweep.roll_forward()
    for base in sweep.bases():
        token.check()
        sweep.one(base)
    sweep.files_of_processes()
    if not dry_run:
        sweep.remove_empty_folders()
    return Report(sweep.removed, sweep.freed, sweep.left_alone, sweep.failed)


def staged_names(folder: Path) -> list[str]:
    """The names of the targets that have staging files in the models folder. Raises: StorageError."""
    sweep = _Sweep(folder.absolute(), None, True, CancelToken(), lambda _event: None)
    return [sweep.name_of(sweep.at(base)) for base in sweep.bases()]


class _Sweep:
    def __init__(
        self, folder: Path, targets: Collection[str] | None, dry_run: bool, token: CancelToken, emit: Emit
    ) -> None:
        self.removed = self.freed = self.left_alone = self.failed = 0
        self._folder = folder
        self._staging = folder / FOLDER
        self._targets = targets
        self._dry_run = dry_run
        self._token = token
        self._emit = emit
        self._doubtful = bool(lock_reliability.doubt(folder))

    def _files(self) -> Iterator[Path]:
        with fs.storage_errors("read", self._staging):
            if self._staging.is_symlink() or not self._staging.is_dir():
                return
            for where, folders, names in os.walk(self._staging, onerror=_raise_unless_gone):
                folders.sort()
                yield from (Path(where) / name for name in sorted([*names, *_links(where, folders)]))

    def bases(self) -> list[Path]:
        """What the staging files of each target begin with, in order."""
        found: dict[Path, None] = {}
        for path in self._files():
            stem, suffix = os.path.splitext(path.name.removesuffix(_NEW))
            if suffix in STAGING_SUFFIXES and not lock_reliability.owner_of(stem):
                found[path.with_name(stem)] = None
        return list(found)

    def may_change(self) -> bool:
        """Whether the user may clean there; told only where there is something to remove, for locks may stay."""
        try:
            fs.check_writable(self._staging)
        except StorageError as error:
            found: list[Event] = []
            clean(self._folder, self._targets, True, self._token, found.append)
            if any(isinstance(event, Cleaned) and event.kind != "lock" for event in found):
                self.failed += 1
                self._leave(self._folder, f"{error.message}. {error.hint}")
            return False
        return True

    def roll_forward(self) -> None:
        """Complete what a crash cut off after its commit record."""
        for path in [path for path in self._files() if path.suffix == ".commit"]:
            try:
                names = [name for name, _ in commit.read_record(path) or []]
            except StorageError:
                continue  # `one` says so
            if not any(map(self._is_meant, names)):
                continue
            try:
                if not self._dry_run:
                    names = commit.complete(self._folder, path, 0, self._token, self._emit) or []
            except (LockedError, StorageError) as error:
                self._leave_after(path, error)
                continue
            for name in names:
                self._emit(RolledForward(name))

    def one(self, base: Path) -> None:
        """Remove the orphans of one target, unless its lock is held."""
        staging = self.at(base)
        if not self._is_meant(self.name_of(staging)):
            return
        is_new = not os.path.lexists(staging.lock)
        lock = Lock(staging.lock)
        if self._dry_run:
            self._only_look(staging)
            return
        try:
            if not lock.try_acquire():
                self._leave_held(staging)
                return
            if self._may_be_at_work(staging, not is_held(staging.lock)):
                self._leave_held(staging)
                return
            is_clean = self._sweep(self.at(base))
            if is_new:
                lock.unlink_and_release()
            elif is_clean:
                self._remove(staging.lock, lock.unlink_and_release)  # last, while it is held
        except StorageError as error:
            self._leave_after(staging.lock, error)
        finally:
            lock.release()

    def _only_look(self, staging: Staging) -> None:
        try:
            if is_held(staging.lock) or self._may_be_at_work(staging, False):
                self._leave_held(staging)
            elif self._sweep(staging):
                self._remove(staging.lock, lambda: None)
        except StorageError as error:
            self._leave_after(staging.lock, error)

    def _may_be_at_work(self, staging: Staging, lies: bool) -> bool:
        """Whether the lock's holder may be, though we could have it: where locks may be granted to everyone."""
        holder = read_lock_info(staging.lock)
        if holder is None or holder.outcome or not (lies or self._doubtful):
            return False
        moment = lock_reliability.last_write(staging.part, staging.journal, staging.lock)
        return lock_reliability.Owner(holder.host, holder.pid).may_live(moment)

    def files_of_processes(self) -> None:
        """Remove the files that no lock keeps, but a process alone, if that has ended."""
        stems = {path.with_name(os.path.splitext(path.name.removesuffix(_NEW))[0]) for path in self._files()}
        for base in sorted(stems):
            files = [base.with_name(base.name + suffix) for suffix in (".part", ".journal", ".receipt.new")]
            owner = lock_reliability.owner_of(base.name)
            if owner is None or not self._is_meant(self._named_in(files[1])):
                continue
            try:
                if owner.may_live(lock_reliability.last_write(*files)):
                    self._leave(base, f"pid {owner.pid} may be at work on it")
                    continue
                for path in files:
                    self._remove(path, partial(fs.unlink, path))
            except StorageError as error:
                self._leave_after(base, error)

    @staticmethod
    def _named_in(path: Path) -> str:
        """The target's name by the journal at `path`; empty when that does not say."""
        try:
            log = journal.read(path)
        except StorageError:
            return ""
        return log.header.name if log else ""

    def _leave_held(self, staging: Staging) -> None:
        holder = read_lock_info(staging.lock)
        self._leave(staging.base, f"held by pid {holder.pid} on {holder.host}" if holder else "held")

    def _sweep(self, staging: Staging) -> bool:
        """Under the lock, if there is one. Returns: whether nothing that matters is left."""
        try:
            if commit.record_of(staging):
                return False  # it could not be rolled forward now, and has been said
            if not self._dry_run and commit.finish_cut_off(staging, self._token):
                self._emit(RolledForward(str(staging.name)))
            doomed = [staging.part, staging.journal, staging.commit]  # a record that makes no sense
            if receipt.read(staging.receipt) is None or not os.path.lexists(staging.target):
                doomed.append(staging.receipt)
            doomed += [path.with_name(path.name + _NEW) for path in (staging.receipt, staging.commit)]
            for path in doomed:
                self._remove(path, partial(fs.unlink, path))
        except StorageError as error:
            self._leave_after(staging.base, error)
            return False
        return True

    def _remove(self, path: Path, unlink: Callable[[], object]) -> None:
        freed = fs.blocks_of(path)
        if freed is None:
            return
        if not self._dry_run:
            unlink()
        kind = _KINDS[os.path.splitext(path.name.removesuffix(_NEW))[1]]
        self.removed += 1
        self.freed += freed
        self._emit(Cleaned(str(path), kind, freed, self._dry_run))

    def _leave(self, path: Path, reason: str) -> None:
        self.left_alone += 1
        self._emit(LeftAlone(str(path), reason))

    def _leave_after(self, path: Path, error: LuciError) -> None:
        self.failed += isinstance(error.__cause__, OSError)
        self._leave(path, error.message)

    def _is_meant(self, name: str) -> bool:
        return self._targets is None or name in self._targets

    def name_of(self, staging: Staging) -> str:
        """The target's name, as far as it is known."""
        return staging.name or str(staging.target.relative_to(self._folder))

    def at(self, base: Path) -> Staging:
        """The staging at `base`, with the name that its lock, journal or receipt gives."""
        bare = staging_at(self._folder, base, None)
        holder = read_lock_info(bare.lock)
        name = holder.name if holder else None
        if name is None:
            try:
                log, known = journal.read(bare.journal), receipt.read(bare.receipt)
            except StorageError:
                return bare
            name = log.header.name if log else known.name if known else None
        return staging_at(self._folder, base, name)

    def remove_empty_folders(self) -> None:
        for where, _folders, _names in os.walk(self._staging, topdown=False):
            if os.path.splitext(where)[1] not in STAGING_SUFFIXES:  # no folder of luci's is called so
                fs.remove_empty(Path(where))


def _links(where: str, folders: list[str]) -> list[str]:
    """Symlinks to folders and planted folders with our suffixes: `os.walk` lists both as folders."""
    return [
        name
        for name in folders
        if os.path.splitext(name)[1] in STAGING_SUFFIXES or os.path.islink(os.path.join(where, name))
    ]


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # another `clean` removed the empty folder
        raise error
