"""Cleaning up: what a crash interrupted is completed where it can be, and other leftovers are removed.

A leftover is a staging file whose lock no process holds. Locks decide, never the age of a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import astuple
from functools import partial
from operator import add
from pathlib import Path

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs, lock_reliability, receipt
from luci_dl.disk.folder_lock import FolderLock
from luci_dl.disk.layout import NEW, OnError, Staging, split_suffix, staging_folder
from luci_dl.disk.lock import Lock, is_held, read_lock_info
from luci_dl.errors import LockedError, LuciError, StorageError
from luci_dl.events import Cleaned, Emit, Event, LeftAlone, RolledForward
from luci_dl.frozen import frozen
from luci_dl.library.folder import ModelsFolder, PrivateFiles, skip

Names = Collection[str]
_KINDS = {"part": "part", "lock": "lock", "journal": "journal", "receipt": "receipt", "commit": "commit record"}


@frozen
class Report:
    """What a clean-up did: files removed (or to be removed, in a dry run), bytes freed on disk, files left alone."""

    removed: int
    freed: int
    left_alone: int
    failed: int = 0
    """How many files or folders the system refused to read or to delete."""

    def __add__(self, other: Report) -> Report:
        return Report(*map(add, astuple(self), astuple(other)))


def clean(folder: Path, targets: Names | None, dry_run: bool, token: CancelToken, emit: Emit) -> Report:
    """Clean the staging of one models folder.

    Args:
        targets: names below the folder to limit it to; None for all.

    Raises: Interrupted; StorageError, when the staging cannot be read.
    """
    sweep = _Sweep(folder, targets, dry_run, token, emit)
    sweep.run()
    return Report(sweep.removed, sweep.freed, sweep.left_alone, sweep.failed)


def staged_names(folder: Path, on_error: OnError = skip) -> list[str]:
    """The names of the targets that have staging files in the models folder. `on_error`: as of `ModelsFolder`."""
    models = ModelsFolder(folder, on_error)
    return [models.name_of(staging) for staging in models.stagings()]


class _Sweep:
    def __init__(self, folder: Path, targets: Names | None, dry_run: bool, token: CancelToken, emit: Emit) -> None:
        self.removed = self.freed = self.left_alone = self.failed = 0
        self._models = ModelsFolder(folder, self._leave_unreadable)
        self._targets = targets
        self._dry_run = dry_run
        self._token = token
        self._emit = emit
        self._locks_unreliable = bool(lock_reliability.why_unreliable(folder))

    def run(self) -> None:
        staging = staging_folder(self._models.path)
        with fs.storage_errors("read", staging):
            is_foreign = staging.is_symlink()  # it may lead to files of others
        if is_foreign or not (self._dry_run or self._is_writable(staging)):
            return
        self._roll_forward()
        for found in self._models.stagings():
            self._token.check()
            if self._is_meant(self._models.name_of(found)):
                self._clean_target(found)
        for files in self._models.private_files():
            if self._is_meant(files.name):
                self._clean_private(files)
        if self._targets is None:
            for path in self._models.rehearsals():
                self._remove(path, partial(fs.unlink, path))
        if not self._dry_run:
            for path in self._models.folders():
                if fs.remove_empty(path) and path != staging:
                    fs.remove_empty(self._models.path / path.relative_to(staging))  # made for a target that never came

    def _is_writable(self, staging: Path) -> bool:
        """Where it is not, that is reported only if there is anything to remove but locks, which may stay."""
        try:
            fs.check_writable(staging)
        except StorageError as error:
            found: list[Event] = []
            clean(self._models.path, self._targets, True, self._token, found.append)
            if any(isinstance(event, Cleaned) and event.kind != "lock" for event in found):
                self.failed += 1
                self._leave(self._models.path, f"{error.message}. {error.hint}")
            return False
        return True

    def _roll_forward(self) -> None:
        """Complete the installs that a crash interrupted after their commit record was written."""
        for path, names in self._models.commit_records():
            if not any(map(self._is_meant, names)):
                continue
            done: Names | None = names
            try:
                if not self._dry_run:
                    done = commit.complete(self._models.path, path, 0, self._token, self._emit)
            except (LockedError, StorageError) as error:
                self._leave_after(path, error)
            else:
                for name in done or ():
                    self._emit(RolledForward(name))

    def _clean_target(self, staging: Staging) -> None:
        """Remove the leftovers of one target, and its lock as the last of them."""
        is_new = not os.path.lexists(staging.lock)
        lock = Lock(staging.lock, FolderLock(staging.lock.parent))
        try:
            if self._dry_run:
                if is_held(staging.lock) or self._may_be_in_use(staging):
                    self._leave_held(staging)
                elif self._remove_leftovers(staging):
                    self._remove(staging.lock, lambda: None)
            elif not lock.try_acquire() or self._may_be_in_use(staging, locks_work=is_held(staging.lock)):
                self._leave_held(staging)
            else:
                is_clean = self._remove_leftovers(self._models.named(staging.base))
                if is_new:
                    lock.unlink_and_release()
                elif is_clean:
                    self._remove(staging.lock, lock.unlink_and_release)
        except StorageError as error:
            self._leave_after(staging.lock, error)
        finally:
            lock.release()

    def _may_be_in_use(self, staging: Staging, *, locks_work: bool = True) -> bool:
        """Whether another process may hold the lock that we could take, too: some file systems grant it to everyone."""
        holder = read_lock_info(staging.lock)
        if holder is None or holder.outcome or (locks_work and not self._locks_unreliable):
            return False
        last_write = lock_reliability.last_write(staging.part, staging.journal, staging.lock)
        return lock_reliability.Owner(holder.host, holder.pid).may_be_running(last_write)

    def _remove_leftovers(self, staging: Staging) -> bool:
        """Returns: whether nothing is left that needs the lock file."""
        try:
            if commit.read_record(staging.commit) or (
                fs.is_own(staging.part) and commit.records_of(staging.folder, [staging])
            ):
                return False  # it could not be rolled forward now, which has been reported
            if not self._dry_run and commit.finish_cut_off(staging, self._token, self._emit):
                self._emit(RolledForward(str(staging.name)))
            paths = [staging.part, staging.journal, staging.commit]  # the commit record is damaged, if there is one
            if receipt.read(staging.receipt) is None or not os.path.lexists(staging.target):
                paths.append(staging.receipt)
            paths += [path.with_name(path.name + NEW) for path in (staging.receipt, staging.commit)]
            for path in paths:
                self._remove(path, partial(fs.unlink, path))
        except StorageError as error:
            self._leave_after(staging.base, error)
            return False
        return True

    def _clean_private(self, files: PrivateFiles) -> None:
        """Remove the files that no lock protects, unless the process that uses them may be running."""
        try:
            if files.owner.may_be_running(lock_reliability.last_write(*files.paths)):
                self._leave(files.base, f"pid {files.owner.pid} may be using it")
                return
            for path in files.paths:
                self._remove(path, partial(fs.unlink, path))
        except StorageError as error:
            self._leave_after(files.base, error)

    def _remove(self, path: Path, unlink: Callable[[], object]) -> None:
        freed = fs.blocks_of(path)
        if freed is None:
            return
        if not self._dry_run:
            unlink()
        kind = _KINDS.get(path.name.removesuffix(NEW).rpartition(".")[2], "rehearsal")
        self.removed += 1
        self.freed += freed
        self._emit(Cleaned(str(path), kind, freed, self._dry_run))

    def _leave(self, path: Path, reason: str) -> None:
        self.left_alone += 1
        self._emit(LeftAlone(str(path), reason))

    def _leave_held(self, staging: Staging) -> None:
        holder = read_lock_info(staging.lock)
        self._leave(staging.base, f"held by pid {holder.pid} on {holder.host}" if holder else "held")

    def _leave_after(self, path: Path, error: LuciError) -> None:
        self.failed += isinstance(error.__cause__, OSError)
        self._leave(path, error.message)

    def _leave_unreadable(self, path: Path, error: StorageError) -> None:
        if path == staging_folder(self._models.path):
            raise error
        if not split_suffix(path):  # the files are reported when they are cleaned
            self._leave_after(path, error)

    def _is_meant(self, name: str) -> bool:
        return self._targets is None or name in self._targets
