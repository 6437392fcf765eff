"""One model into one folder, all its files or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import commit, fs, lock_reliability, receipt, target
from luci_dl.disk.endings import end_parts
from luci_dl.disk.hashing import hash_file
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, in_lock_order, staging_for
from luci_dl.disk.locks import Locks, Verb
from luci_dl.disk.part import Part
from luci_dl.disk.precommit import check_parts, check_target, read_back, touched
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.target import Found
from luci_dl.errors import IntegrityError, Interrupted, LuciError, StorageError
from luci_dl.events import Emit, Event, Hashing, RolledForward, Warned
from luci_dl.model import Artifact
from luci_dl.plan import Options, Remote


def ignore(_event: Event) -> None:
    """The default for `emit`: drops the event."""


class Transaction:
    """Holds the locks of its files while the block runs; what is not committed then is rolled back, or kept.

    `look` at what stands there, `open` a part for each file to be had and fetch into it (or `fill` it from bytes that
    come from elsewhere), `commit`. The block's exception decides what becomes of the parts: an interrupt or wrong bytes
    remove them, a network at its end keeps them for the next time (`errors.LuciError.ending`).

        with Transaction(folder, [artifact]) as transaction:
            transaction.fill(artifact, blocks)
            transaction.commit()

    Usable in any thread, once, and needs no signal handlers: cancel `token` to stop it from elsewhere.

    Attributes:
        endings: after the block, what became of the parts: `Deleted`, `NotDeleted`, `Kept` events.
    """

    def __init__(
        self,
        folder: Path,
        artifacts: Sequence[Artifact],
        *,
        reference: str = "",
        options: Options | None = None,
        token: CancelToken | None = None,
        emit: Emit = ignore,
        verb: Verb = "install",
    ) -> None:
        """Raises: UsageError, for a name that would leave the folder; StorageError."""
        self.endings: list[Event] = []
        self._reference = reference or artifacts[0].name
        self._verb = verb
        self._options = options or Options()
        self._token = token or CancelToken()
        self._emit = emit
        self._folder = folder.absolute()
        self._artifacts = {artifact.name: artifact for artifact in artifacts}
        self._stagings = {name: staging_for(self._folder, name) for name in self._artifacts}
        self._locks: Locks | None = None
        self._seen: dict[str, target.Identity | None] = {}  # what `look` saw at the targets
        self._parts: dict[str, Part] = {}
        self._made: list[Path] = []
        self._committed = False
        self._doubt = ""  # why locks cannot be trusted here: then the parts are this process's alone

    def __enter__(self) -> Transaction:
        """Take the locks; complete what a crash cut off.

        Raises: LockedError; IntegrityError, when the holder that was waited for found these very bytes wrong;
            Interrupted; StorageError.
        """
        if self._locks:
            raise RuntimeError("a Transaction serves one `with` block")
        files = [(self._stagings[name], artifact) for name, artifact in self._artifacts.items()]
        while True:
            self._roll_forward()
            locks = Locks(files, self._reference, self._verb)
            locks.acquire(self._options.wait, self._token, self._emit)
            try:
                if not any(commit.record_of(staging) for staging in self._stagings.values()):
                    for name, staging in self._stagings.items():
                        if commit.finish_cut_off(staging, self._token):
                            self._emit(RolledForward(name))
                    self._locks = locks
                    self._keep_apart(locks)
                    return self
            except BaseException:
                locks.release("rolled back")
                raise
            locks.release("rolled back")  # another process crashed in between: its record needs other locks

    def _keep_apart(self, locks: Locks) -> None:
        """Where the locks that were taken may not keep others out, use staging files private to this process."""
        self._doubt = lock_reliability.why_unreliable(self._folder, locks.keep_others_out())
        if self._doubt:
            mark = lock_reliability.private_mark()
            self._stagings = {name: staging.private(mark) for name, staging in self._stagings.items()}

    def _roll_forward(self) -> None:
        for staging in self._stagings.values():
            path = commit.record_of(staging)
            if path:
                for name in commit.complete(self._folder, path, self._options.wait, self._token, self._emit) or ():
                    self._emit(RolledForward(name))

    def look(self, artifact: Artifact) -> Found:
        """What stands at the artifact's target. Raises: Interrupted; StorageError."""
        staging = self._stagings[artifact.name]
        self._seen[artifact.name] = target.identity_of(staging)
        return target.look(staging, artifact, self._token, self._hashing(artifact.name, staging.target))

    def adopt(self, artifact: Artifact, found: Found) -> None:
        """Write a receipt for a file that luci did not install, but that is right."""
        known = self._receipt(artifact, found.sha256, found.size, found.mtime_ns, "", artifact.proof)
        staging = self._stagings[artifact.name]
        receipt.write(staging.receipt, known, staging.new_receipt)

    def open(self, artifact: Artifact, source: fs.File | None = None) -> Part:
        """The part of that file, with what is proved of an earlier run, and with its room on the disk.

        `source`: a copy of the file, whose blocks it shares if it can.
        Raises: Interrupted; StorageError.
        """
        staging = self._stagings[artifact.name]
        fs.check_writable(staging.target.parent)
        if self._doubt and not self._parts:
            how = "downloads there are kept apart by name, read back when they are complete, and cannot be resumed"
            self._emit(Warned(f"{self._doubt}: {how}"))
        part = Part(staging, artifact, self._options.min_free)
        self._parts[artifact.name] = part
        part.open(self._options.resume, self._token, self._hashing(artifact.name, staging.part), source)
        return part

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
            part.end_of_file(lease)
        part.revoke(lease)

    def tell(self, name: str, done: int, total: int | None, rate: float) -> None:
        """Let those who wait for the lock of `name` know how far it is."""
        self._held().report(name, done, total, rate)

    def commit(self) -> None:
        """Verify every part that was opened, and put all in their places, or none.

        Raises: IntegrityError; Interrupted; StorageError. Nothing is raised after the last rename: later
            problems are warnings.
        """
        if not self._parts:
            return
        digests = {name: part.verify(self._token) for name, part in self._parts.items()}
        stagings = in_lock_order(self._stagings[name] for name in self._parts)
        first = stagings[0].name if len(stagings) > 1 and not self._doubt else None
        record = stagings[0].commit if first else None
        files = [(staging, self._done(staging, digests, first)) for staging in stagings]
        run_cancellable(lambda: self._finish_journals(files), self._token)
        for staging in stagings:
            self._made += fs.make_folder(staging.target.parent)
        if self._doubt:
            for name, part in self._parts.items():
                read_back(part, digests[name], self._token, self._hashing(name, part.staging.part))
        self._check_ownership(files)
        self._token.check()
        if record:
            commit.write_record(record, files)
            self._committed = True
            self._rename_all(files)
        else:
            for staging in stagings:  # several only where no record could be kept for others to complete
                fs.rename(staging.part, staging.target)
            self._committed = True
        try:
            commit.settle_all(record, files)
        except StorageError as error:
            self._emit(Warned(f"{error.message} (the next luci install or luci clean completes it)"))

    def _rename_all(self, files: Sequence[tuple[Staging, CommitEntry]]) -> None:
        try:
            commit.rename_all(files)
        except StorageError as error:
            hint = "Correct that and run the install command again: all bytes are there, and verified."
            raise StorageError(error.message, hint, error.reason) from error

    def _finish_journals(self, files: Sequence[tuple[Staging, CommitEntry]]) -> None:
        for staging, done in files:
            self._parts[str(staging.name)].log.finish(done)

    def _check_ownership(self, files: Sequence[tuple[Staging, CommitEntry]]) -> None:
        """Locks save work; inode and digest keep truth."""
        if not (self._doubt or self._held().are_ours()):
            raise touched(files[0][0], self._reference)
        check_parts(files, self._reference, self._token)
        for name, part in self._parts.items():
            if name in self._seen:
                check_target(self._stagings[name], self._seen[name], partial(self._is_as_good, part))

    def _is_as_good(self, part: Part) -> bool:
        """Whether another process put the same bytes at the target, possible only where locks are unreliable."""
        if not self._doubt:
            return False
        path = part.staging.target
        digest, _ = hash_file(path, self._token, self._hashing(part.artifact.name, path))
        return digest == part.verify(self._token)

    def _done(self, staging: Staging, digests: dict[str, str], record: str | None) -> CommitEntry:
        part = self._parts[str(staging.name)]
        digest, size, url = digests[part.artifact.name], part.received, part.origin
        known = self._receipt(part.artifact, digest, size, part.mtime_ns, url, part.proof)
        return CommitEntry(size, digest, part.inode, known.to_json(), record)

    def _receipt(self, artifact: Artifact, sha256: str, size: int, mtime_ns: int, url: str, proof: str) -> Receipt:
        moment = receipt.now()
        return Receipt(
            artifact.name, self._reference, tuple(self._artifacts), artifact.role, url, sha256, proof, size, mtime_ns,
            moment, moment,
        )  # fmt: skip

    def _hashing(self, name: str, path: Path) -> Callable[[int], None]:
        def report(done: int) -> None:
            try:
                total = path.stat().st_size
            except OSError:  # it vanishes while it is read
                total = done
            self._emit(Hashing(name, done, total))

        return report

    def _held(self) -> Locks:
        if self._locks is None:
            raise RuntimeError("not inside the `with` block")
        return self._locks

    # --- the endings ---

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        parts = list(self._parts.values())
        if self._committed:
            for part in parts:
                part.close()
            for warning in self._release("installed"):
                self._emit(warning)
            return
        keep, hurry = self._is_kept_after(error), isinstance(error, Interrupted | KeyboardInterrupt)
        self.endings = end_parts(parts, keep, hurry, self._token, lambda kept: self._leave(error, kept))

    def _leave(self, error: BaseException | None, kept: bool) -> list[Event]:
        """Remove the folders that were made for nothing, and release the locks."""
        for folder in reversed(self._made):
            fs.remove_empty(folder)
        if isinstance(error, IntegrityError):
            return self._release("wrong bytes", error.message, error.hint)
        return self._release("suspended" if kept else "rolled back")

    def _release(self, outcome: str, message: str = "", hint: str = "") -> list[Event]:
        """Release the locks. Returns: a warning where the system refuses that."""
        try:
            self._held().release(outcome, message, hint)
        except (OSError, StorageError) as error:
            return [Warned(f"cannot release the lock of {self._reference}: {error}; it is free when this process ends")]
        return []

    def _is_kept_after(self, error: BaseException | None) -> bool:
        if self._doubt:
            return False
        if isinstance(error, Interrupted):
            return self._options.keep_partial
        return isinstance(error, LuciError) and error.ending == "suspend"
