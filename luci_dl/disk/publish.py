"""The commit of a transaction: its verified parts become installed files, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import commit, fs, receipt
from luci_dl.disk.hashing import hash_file, report_hashing
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, in_lock_order
from luci_dl.disk.part import Part
from luci_dl.disk.precommit import check_parts, check_target, read_back, touched
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.target import Identity
from luci_dl.errors import StorageError
from luci_dl.events import Emit, Warned
from luci_dl.model import Artifact

Files = Sequence[tuple[Staging, CommitEntry]]


class Publication:
    """Puts the parts of one model in their places.

    Args:
        names: of all files of the model, whether they have parts or not.
        seen: what was at the targets when they were looked at.
        private: the locks are unreliable, so the parts have names of their own, and are read back.

    Attributes:
        made: the folders that were made for the targets, outermost first.
        done: the files count as installed, so nothing may be rolled back.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        reference: str,
        names: Sequence[str],
        seen: Mapping[str, Identity | None],
        private: bool,
        token: CancelToken,
        emit: Emit,
    ) -> None:
        self.made: list[Path] = []
        self.done = False
        self._parts = {part.staging: part for part in parts}
        self._reference = reference
        self._names = tuple(names)
        self._seen = seen
        self._private = private
        self._token = token
        self._emit = emit

    def run(self, locks_are_ours: Callable[[], bool]) -> None:
        """Verify everything once more, then rename. After the last rename nothing is raised: errors become warnings.

        Raises: IntegrityError; Interrupted; StorageError.
        """
        for part in self._parts.values():
            part.verify(self._token)
        stagings = in_lock_order(self._parts)
        first = stagings[0].name if len(stagings) > 1 and not self._private else None
        record = stagings[0].commit if first else None
        files = [(staging, self._entry(self._parts[staging], first)) for staging in stagings]
        run_cancellable(lambda: self._finish_journals(files), self._token)
        for staging in stagings:
            self.made += fs.make_folder(staging.target.parent)
        if self._private:
            self._read_back()
        self._check_ownership(files, locks_are_ours)
        self._token.check()
        self._rename(files, record)
        try:
            commit.settle_all(record, files, self._emit)
            outer = {folder.parent for folder in self.made} - {staging.target.parent for staging in stagings}
            commit.warn_of_unsynced({folder: fs.sync_folder(folder) for folder in outer}, self._emit)
        except (StorageError, OSError) as error:
            self._emit(Warned(f"{error}; once that is corrected, the next luci install or luci clean completes it"))

    def _entry(self, part: Part, record: str | None) -> CommitEntry:
        digest, size = part.verify(self._token), part.received
        known = receipt_for(
            part.artifact, self._reference, self._names, digest, size, part.mtime_ns, url=part.origin, proof=part.proof
        )
        return CommitEntry(size, digest, part.inode, known, record)

    def _finish_journals(self, files: Files) -> None:
        for staging, entry in files:
            self._parts[staging].finish_journal(entry)

    def _read_back(self) -> None:
        for staging, part in self._parts.items():
            hashed = report_hashing(self._emit, part.artifact.name, staging.part)
            read_back(part, part.verify(self._token), self._token, hashed)

    def _check_ownership(self, files: Files, locks_are_ours: Callable[[], bool]) -> None:
        """Locks save work; inode and digest prove that the files are the right ones."""
        for part in self._parts.values():
            part.close()  # all bytes are there, so whatever still wants to change them is a thread left behind
        if not (self._private or locks_are_ours()):
            raise touched(files[0][0], self._reference)
        check_parts(files, self._reference, self._token)
        for staging, part in self._parts.items():
            if part.artifact.name in self._seen:
                check_target(staging, self._seen[part.artifact.name], partial(self._is_as_good, part))

    def _is_as_good(self, part: Part) -> bool:
        """Whether another process put the same bytes at the target, which is only possible with unreliable locks."""
        if not self._private:
            return False
        path = part.staging.target
        digest, _ = hash_file(path, self._token, report_hashing(self._emit, part.artifact.name, path))
        return digest == part.verify(self._token)

    def _rename(self, files: Files, record: Path | None) -> None:
        if not record:
            for staging, _ in files:  # several only where no record could be kept for others to complete
                fs.rename(staging.part, staging.target)
            self.done = True
            return
        commit.write_record(record, files)
        self.done = True
        try:
            commit.rename_all(files)
        except StorageError as error:
            hint = "Correct that and run the install command again: all bytes are there, and verified."
            raise StorageError(error.message, hint, error.reason) from error


def receipt_for(
    artifact: Artifact,
    reference: str,
    names: Sequence[str],
    sha256: str,
    size: int,
    mtime_ns: int,
    *,
    url: str,
    proof: str,
) -> Receipt:
    """The receipt of a file of the model `reference`, which has files with these names."""
    moment = receipt.now()
    return Receipt(
        artifact.name, reference, tuple(names), artifact.role, url, sha256, proof, size, mtime_ns, moment, moment
    )
