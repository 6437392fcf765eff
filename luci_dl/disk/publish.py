"""The commit of a transaction: its verified parts become installed files, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import commit, fs, receipt, target
from luci_dl.disk.hashing import hash_file, report_hashing
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, in_lock_order, staging_folder
from luci_dl.disk.part import Part
from luci_dl.disk.receipt import ModelFacts, Receipt
from luci_dl.errors import StorageError
from luci_dl.events import Emit, Warned
from luci_dl.model import Artifact

Files = Sequence[tuple[Staging, CommitEntry]]


class Publication:
    """Puts the parts of one model in their places.

    Args:
        links: files elsewhere that get a second name, beside the parts.
        facts: of the model, with the names of all its files, whether they have parts or not.
        replaced: what becomes of files of the version that is replaced.
        seen: what was at the targets when they were looked at.
        private: the locks are unreliable, so the parts have names of their own, and are read back.

    Attributes:
        made: the folders that were made for the targets, outermost first.
        done: the files count as installed, so nothing may be rolled back.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        links: Mapping[Staging, CommitEntry],
        facts: ModelFacts,
        replaced: commit.Entries,
        seen: Mapping[str, target.Identity | None],
        private: bool,
        token: CancelToken,
        emit: Emit,
    ) -> None:
        self.made: list[Path] = []
        self.done = False
        self._parts = {part.staging: part for part in parts}
        self._links = links
        self._facts = facts
        self._replaced = replaced
        new = in_lock_order([*self._parts, *links])
        self._first = (new or in_lock_order(staging for staging, _ in replaced))[0]
        self._seen = seen
        self._private = private
        self._token = token
        self._emit = emit

    def run(self, lost_lock: Callable[[], Path | None]) -> None:
        """Verify everything once more, then rename. After the last rename nothing is raised: errors become warnings.

        Args:
            lost_lock: returns a lock file that is not the one that was locked, if there is one.

        Raises: IntegrityError; Interrupted; StorageError.
        """
        stagings = in_lock_order([*self._parts, *self._links])
        is_single = len(stagings) == 1 and not (self._replaced or self._links) and self._parts[stagings[0]].has_journal
        first = None if is_single or self._private else self._first.name
        record = self._first.commit if first else None
        files = run_cancellable(lambda: [(staging, self._entry(staging, first)) for staging in stagings], self._token)
        run_cancellable(lambda: self._make_durable(files, record), self._token)
        for folder in dict.fromkeys(staging.target.parent for staging in stagings):
            self.made += fs.make_folder(folder)
        if self._private:
            self._read_back(files)
        self._check_ownership(files, lost_lock)
        self._token.check()
        self._rename(files, record)
        try:
            commit.settle_all(record, [*files, *self._replaced], self._emit)
            outer = {folder.parent for folder in self.made} - {staging.target.parent for staging in stagings}
            commit.warn_of_unsynced({folder: fs.sync_folder(folder) for folder in outer}, self._emit)
        except (StorageError, OSError) as error:
            self._emit(Warned(f"{error}; once that is corrected, the next luci install or luci clean completes it"))

    def _entry(self, staging: Staging, record: str | None) -> CommitEntry:
        if link := self._links.get(staging):
            return replace(link, record=record)
        part = self._parts[staging]
        digest, size = part.verify(self._token), part.received
        content = digest, size, part.mtime_ns, part.blocks.text()
        known = receipt_for(part.artifact, self._facts, *content, url=part.origin, proof=part.proof)
        if staging.name not in self._facts.earlier:
            known = replace(known, validator=part.validator(part.origin) or "", commit=part.commit)
        return CommitEntry(size, digest, part.inode, known, record)

    def _make_durable(self, files: Files, record: Path | None) -> None:
        """After this a crash loses no name of a part, and what is known of a single one stands in its journal."""
        if record:
            for folder in {staging.part.parent for staging, _ in files}:
                fs.sync_folder(folder)
            return
        for staging, entry in files:
            if self._parts[staging].has_journal:
                self._parts[staging].finish_journal(entry)

    def _read_back(self, files: Files) -> None:
        """Check that the disk returns what was written. Raises: StorageError; Interrupted."""
        for staging, entry in files:
            fs.forget_cached(staging.part)
            found = self._hash(staging, staging.part)
            if found != entry.sha256:
                raise StorageError(
                    f"{staging.part} does not read back as it was written: its SHA-256 is {found}, "
                    f"expected {entry.sha256}",
                    "Check the disk and its connection; install again, or into another folder with --dir.",
                )

    def _check_ownership(self, files: Files, lost_lock: Callable[[], Path | None]) -> None:
        """Locks save work; inode and digest prove the files. Raises: StorageError; Interrupted."""
        for part in self._parts.values():
            part.close()  # all bytes are there, so whatever still wants to change them is a thread left behind
        is_lost = not self._private and lost_lock()
        if is_lost or not all(
            commit.holds(commit.bytes_of(staging, entry), entry, self._token) for staging, entry in files
        ):
            raise StorageError(
                f"another program touched the staging files of {self._facts.reference} in "
                f"{staging_folder(self._first.folder)}",
                "Check whether a program cleans up there, or the file system does not support locks; then install "
                "again.",
            )
        for staging, entry in (*files, *self._replaced):
            if entry and staging.name in self._seen:
                self._check_target(staging, entry)

    def _check_target(self, staging: Staging, entry: CommitEntry) -> None:
        """Check that no file was put at the target since it was looked at. Raises: StorageError; Interrupted.

        With unreliable locks another process may have put the same bytes there.
        """
        found = target.identity_of(staging)
        if not found or found == self._seen[str(staging.name)]:
            return
        if not self._private or self._hash(staging, staging.target) != entry.sha256:
            raise StorageError(
                f"another program put a file at {staging.target} while it was downloaded",
                "Run the install command again: it checks that file.",
            )

    def _hash(self, staging: Staging, path: Path) -> str:
        return hash_file(path, self._token, report_hashing(self._emit, str(staging.name), path))[0]

    def _rename(self, files: Files, record: Path | None) -> None:
        if not record:
            for staging, _ in files:  # several only where no record could be kept for others to complete
                fs.rename(staging.part, staging.target)
            self.done = True
            return
        commit.write_record(record, [*files, *self._replaced])
        self.done = True
        try:
            commit.rename_all(files)
        except StorageError as error:
            hint = "Correct that and run the install command again: all bytes are there, and verified."
            raise StorageError(error.message, hint, error.reason) from error


def receipt_for(
    artifact: Artifact,
    facts: ModelFacts,
    sha256: str,
    size: int,
    mtime_ns: int,
    xxh3: str,
    *,
    url: str,
    proof: str,
) -> Receipt:
    """The receipt of a file of that model."""
    moment = receipt.now()
    if known := facts.earlier.get(artifact.name):
        return replace(known, size=size, mtime_ns=mtime_ns, verified=moment, xxh3=xxh3 or known.xxh3)
    return Receipt(
        artifact.name,
        facts.reference,
        facts.files,
        artifact.role,
        url,
        sha256,
        proof,
        size,
        mtime_ns,
        installed=moment,
        verified=moment,
        xxh3=xxh3,
        asked=facts.asked,
        kept=facts.kept if artifact.name == facts.files[0] else {},
        access=artifact.access,
    )
