"""One model into one folder, all its files or none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import commit, fs, lock_reliability, receipt, target
from luci_dl.disk.blocks import Blocks
from luci_dl.disk.endings import end_parts
from luci_dl.disk.filesystems import file_system
from luci_dl.disk.hashing import report_hashing
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Layout, Staging
from luci_dl.disk.locks import Locks, Verb
from luci_dl.disk.part import Part
from luci_dl.disk.place import Places, can_link, check_names
from luci_dl.disk.publish import Publication, receipt_for
from luci_dl.disk.receipt import ModelFacts, Receipt
from luci_dl.disk.small_part import part_for
from luci_dl.disk.succession import Succession, write_receipts
from luci_dl.disk.target import Found
from luci_dl.disk.watch import Watch, vanished
from luci_dl.errors import IntegrityError, Interrupted, LuciError, StorageError
from luci_dl.events import Emit, Event, RolledForward, Warned, ignore
from luci_dl.model import Artifact
from luci_dl.plan import Options, Remote


class Transaction:
    """Holds the locks of its files while the block runs; what is not committed then is rolled back, or kept.

    `look` at what is at each target, `open` a part for each file that is needed and fetch into it (or `fill` it with
    bytes from elsewhere), `commit`. The block's exception decides what becomes of the parts: an interrupt or wrong
    bytes remove them, a failed network keeps them for the next time (`errors.LuciError.ending`).

        with Transaction(folder, [artifact]) as transaction:
            transaction.fill(artifact, blocks)
            transaction.commit()

    Usable in any thread, once, and needs no signal handlers: cancel `token` to stop it from elsewhere.

    Attributes:
        endings: after the block, what became of the parts: `Deleted`, `NotDeleted`, `Kept` and `Warned` events.
    """

    def __init__(
        self,
        folder: Path,
        artifacts: Sequence[Artifact],
        *,
        reference: str = "",
        asked: Mapping[str, Any] | None = None,
        kept: Mapping[str, str] | None = None,
        earlier: Mapping[str, Receipt] | None = None,
        replaces: Sequence[str] = (),
        options: Options | None = None,
        token: CancelToken | None = None,
        emit: Emit = ignore,
        verb: Verb = "install",
    ) -> None:
        """Args: `reference`, `asked`, `kept` and `earlier` are for the receipts, as in `ModelFacts`; `replaces`: as in
            `Plan`.

        Raises: UsageError, for a name that would leave the folder; StorageError.
        """
        self.endings: list[Event] = []
        names = tuple(dict.fromkeys(artifact.name for artifact in artifacts))
        self._facts = ModelFacts(reference or names[0], names, asked or {}, kept or {}, earlier or {})
        self._verb = verb
        self._options = options or Options()
        self._token = token or CancelToken()
        self._emit = emit
        self._folder = folder.absolute()
        self._artifacts = {artifact.name: artifact for artifact in artifacts}
        layout = Layout(self._folder)
        self._stagings = {name: layout.staging(name) for name in self._artifacts}
        self._succession = Succession(layout, replaces, self._artifacts)
        self._locks: Locks | None = None
        self._seen: dict[str, target.Identity | None] = {}  # what `look` saw at the targets
        self._parts: dict[str, Part] = {}
        self._links: dict[Staging, CommitEntry] = {}
        self._watch = Watch(self.check_staging)
        self._publication: Publication | None = None
        self._places = Places()
        self._unclaimed = 0  # bytes of the parts that claim no blocks
        self._unreliable = ""  # why the locks are; then the staging files are private to this process

    def __enter__(self) -> Transaction:
        """Take the locks, and complete what a crash interrupted.

        Raises: LockedError; IntegrityError, when the process that held a lock found these very bytes to be wrong;
            Interrupted; StorageError.
        """
        if self._locks:
            raise RuntimeError("a Transaction serves one `with` block")
        check_names(file_system(self._folder), self._folder, self._artifacts)
        files = [(self._stagings[name], artifact) for name, artifact in self._artifacts.items()]
        obsolete = self._succession.obsolete.items()
        files += [(staging, Artifact(name, (self._facts.reference,), 0)) for name, staging in obsolete]
        while True:
            self._roll_forward()
            locks = Locks(files, self._facts.reference, self._verb, self._watch.look)
            locks.acquire(self._options.wait, self._token, self._emit)
            try:
                if not self._records():
                    for name, staging in self._stagings.items():
                        if commit.finish_cut_off(staging, self._token, self._emit):
                            self._emit(RolledForward(name))
                    self._locks = locks
                    self._check_reliability(locks)
                    return self
            except BaseException:
                locks.release("rolled back")
                raise
            locks.release("rolled back")  # another process crashed in between: its record needs other locks

    def _check_reliability(self, locks: Locks) -> None:
        """Where the locks may not keep others out, use staging files that no other process uses."""
        self._unreliable = lock_reliability.why_unreliable(self._folder, locks.keep_others_out())
        if self._unreliable:
            mark = lock_reliability.private_mark()
            self._stagings = {name: staging.private(mark) for name, staging in self._stagings.items()}

    def _records(self) -> list[Path]:
        return commit.records_of(self._folder, [*self._stagings.values(), *self._succession.obsolete.values()])

    def _roll_forward(self) -> None:
        for path in self._records():
            for name in commit.complete(self._folder, path, self._options.wait, self._token, self._emit) or ():
                self._emit(RolledForward(name))

    def look(self, artifact: Artifact) -> Found:
        """What is at the artifact's target. Raises: Interrupted; StorageError."""
        staging = self._stagings[artifact.name]
        self._seen[artifact.name] = target.identity_of(staging)
        hashed = report_hashing(self._emit, artifact.name, staging.target)
        found = target.look(staging, artifact, self._token, hashed)
        if found.state == "installed" and found.receipt:
            self._succession.note(staging, found.receipt)
        return found

    def adopt(self, artifact: Artifact, found: Found) -> None:
        """Write a receipt for a file that luci did not install, but that is right. Raises: StorageError."""
        content = found.sha256, found.size, found.mtime_ns, found.xxh3
        known = receipt_for(artifact, self._facts, *content, url="", proof=artifact.proof)
        staging = self._stagings[artifact.name]
        receipt.write(staging.receipt, known, staging.new_receipt)
        self._succession.note(staging, known)

    def open(self, artifact: Artifact, source: fs.File | None = None) -> Part:
        """The part of that file, with what is proved of an earlier run, and with its room on the disk.

        Args:
            source: a copy of the file; its blocks are shared if the file system can do that.

        Raises: Interrupted; StorageError.
        """
        staging = self._stagings[artifact.name]
        self._places.check(staging, artifact.size)
        self._places.rehearse(staging)
        if self._unreliable and not self._parts:
            how = "downloads there use file names of their own, are read back when complete, and cannot be resumed"
            self._emit(Warned(f"{self._unreliable}: {how}"))
        part = part_for(staging, artifact, self._options.min_free + self._unclaimed, self._watch.check)
        self._unclaimed += 0 if part.has_journal else artifact.size or 0
        self._parts[artifact.name] = part
        hashed = report_hashing(self._emit, artifact.name, staging.part)
        part.open(self._options.resume, self._token, hashed, source)
        return part

    def mend(self, artifact: Artifact, known: Blocks) -> Part:
        """The same, with every block of the damaged file at its target that is as `known` says."""
        path = self._stagings[artifact.name].target
        try:
            source = run_cancellable(lambda: fs.open_to_read(path), self._token)
        except StorageError:
            return self.open(artifact)
        part = self.open(artifact, source)
        if part.cloned or not part.received:
            part.mend(source, known, self._token, report_hashing(self._emit, artifact.name, path))
        return part

    def link(self, artifact: Artifact, path: Path) -> bool:
        """When committing, give the file at `path`, which is as its `earlier` receipt says, a second name: the target.

        Returns: whether both are on one file system that has hard links. Raises: CannotHold; StorageError.
        """
        staging, known = self._stagings[artifact.name], self._facts.earlier[artifact.name]
        self._places.check(staging, artifact.size)
        if self._unreliable or not can_link(staging, path):
            return False
        with fs.storage_errors("look at", path):
            inode = os.lstat(path).st_ino
        self._links[staging] = CommitEntry(known.size, known.sha256, inode, known, None, str(path))
        return True

    def check_staging(self) -> None:
        """Raises: StorageError, when a part or a lock file has vanished, or nothing can be written there any more."""
        parts = list(self._parts.values())
        for part in parts:
            part.check_there()
        if parts and not self._unreliable and (lost := self._held().lost()):
            raise vanished(lost)
        for folder in {path.parent for part in parts for path in (part.staging.base, part.staging.target)}:
            fs.check_writable(folder)

    def keep(self, files: Mapping[str, str]) -> None:
        """Put these small files into the receipt: see `Model.kept`."""
        self._facts = replace(self._facts, kept=files)

    def fill(self, artifact: Artifact, blocks: Iterable[bytes]) -> None:
        """Open the part of that file, and write the whole of it.

        Raises: IntegrityError, when there is more than the artifact's size; Interrupted; StorageError.
        """
        part = self.open(artifact)
        if part.received:
            part.forget()
        lease = part.claim()
        if lease is None:
            return
        part.begin(lease, Remote(artifact.urls[0], artifact.size, None), 0)
        for block in blocks:
            self._token.check()
            part.write(lease, block)
        if lease.end is None:
            part.end_of_file(lease, certain=True)
        part.revoke(lease)

    def report(self, name: str, done: int, total: int | None, rate: float) -> None:
        """Let those who wait for the lock of `name` know the progress."""
        self._held().report(name, done, total, rate)

    def commit(self, needed: Mapping[str, Receipt] | None = None) -> None:
        """Verify every part that was opened, and put all of them in their places, or none.

        Args:
            needed: new receipts of files of the replaced version which other models need; the others that the new
                version does not have are removed.

        Raises: IntegrityError; Interrupted; StorageError. After the last rename nothing is raised: errors become
            warnings.
        """
        replaced = self._succession.entries(self._facts, self._parts, needed or {})
        if not (self._parts or self._links or any(entry is None for _, entry in replaced)):
            write_receipts(replaced, self._emit)
            return
        self._watch.end()
        self._publication = Publication(
            list(self._parts.values()),
            self._links,
            self._facts,
            replaced,
            self._seen,
            bool(self._unreliable),
            self._token,
            self._emit,
        )
        self._publication.run(self._held().lost)

    def _held(self) -> Locks:
        if self._locks is None:
            raise RuntimeError("not inside the `with` block")
        return self._locks

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.end()
        parts = list(self._parts.values())
        if self._publication and self._publication.done:
            for part in parts:
                part.close()
            self._held().release("installed")
            return
        keep, hurry = self._is_kept_after(error), isinstance(error, Interrupted | KeyboardInterrupt)
        self.endings = end_parts(parts, self._verb, keep, hurry, self._token, lambda kept: self._leave(error, kept))

    def _is_kept_after(self, error: BaseException | None) -> bool:
        if self._unreliable:
            return False
        if isinstance(error, Interrupted):
            return self._options.keep_partial
        return isinstance(error, LuciError) and error.ending == "suspend"

    def _leave(self, error: BaseException | None, kept: bool) -> None:
        """Remove the folders that were made for nothing, and release the locks."""
        for folder in reversed(self._publication.made if self._publication else []):
            fs.remove_empty(folder)
        if isinstance(error, IntegrityError):
            self._held().release("wrong bytes", error.message, error.hint)
        else:
            self._held().release("suspended" if kept else "rolled back")
