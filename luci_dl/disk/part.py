"""The unfinished file of one target, from what an earlier run left to the verified whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs, identity, journal, space
from luci_dl.disk.blocks import BLOCK, Blocks, damaged, digest_of, fill_in
from luci_dl.disk.hashing import Hashed, hash_again
from luci_dl.disk.layout import Staging
from luci_dl.disk.part_sink import PartSink
from luci_dl.disk.proof import nothing, prove
from luci_dl.errors import StorageError
from luci_dl.model import Artifact, Content, Digest
from luci_dl.plan import Remote, Segment


class Part(PartSink):
    """A `.part`: `open` it, fetch into it, `verify`. Then it is renamed, kept (`suspend`) or removed.

    It has threads from its first byte until it is verified, and is closed before and after that as far as possible: a
    model may have hundreds of parts.

    Attributes:
        has_journal: when all is verified.
        origin: where its bytes come from, for the receipt.
        inode, mtime_ns: of the file when it was verified.
    """

    has_journal = True

    def __init__(
        self, staging: Staging, artifact: Artifact, min_free: int = 0, watch: Callable[[], None] = lambda: None
    ) -> None:
        """Changes nothing. Raises: StorageError, when what is there is not luci's, or of another format.

        Args:
            watch: called by `check`; raises StorageError for what happened to staging files.
        """
        super().__init__(staging, artifact, min_free)
        self.origin = artifact.urls[0]
        self.inode = self.mtime_ns = 0
        self._left = fs.open_own(staging.part), journal.read(staging.journal)  # by an earlier run, until taken over
        self._watch = watch
        self._token: CancelToken  # that of `open`
        self._further: Mapping[Digest, str] = {}  # of the whole: digests of the other kinds that are expected

    def open(self, resume: bool, token: CancelToken, hashed: Hashed, source: fs.File | None = None) -> int:
        """Take over what an earlier run left, as far as it is proved, and claim the space if the size is known.

        Args:
            source: a copy of the file; where nothing was left, its blocks are shared if the file system can do that.

        Returns: the first byte that is missing. Raises: Interrupted; StorageError.
        """
        self._token = token
        kept, log = self._left
        proof = nothing(self.size)
        if resume and kept and log and identity.fits(log.header, self.artifact):
            proof = prove(kept, log, token, hashed)
        self._left = None, None
        if kept and log and proof.end:
            self._known = log.header
            self._files.resume(kept, log)
        else:
            self._files.clear()
            if source:
                self._known = identity.learn(self._known, Remote("", source.size, None))
            if self.size is not None:
                self._files.create(self._known)
            proof = nothing(self.size)
        self._writer.resume(proof)
        run_cancellable(lambda: self._make_room(kept, proof.end, source), token)
        if self.cloned:
            self._writer.restart([], self.size)
        self._files.close_until_used(same=bool(proof.end))
        return self._writer.ranges.written

    def mend(self, source: fs.File, known: Blocks, token: CancelToken, checked: Hashed) -> None:
        """Take over every block of a damaged copy of the file that is as `known` says; the others stay missing.

        Call it after `open`, with the same source, when nothing was left. Raises: Interrupted; StorageError.
        """
        part, size, sums = self._files.part, self.size, self._writer.sums
        if part is None or size is None:
            raise RuntimeError(f"{self.staging.part} is not open")

        def take(number: int, data: bytes) -> None:
            if not self.cloned:
                part.write(data, number * BLOCK)
            sums.learn(number, digest_of(data))

        damaged(source, size, known, token, checked, take)
        if part.size != size:  # that of the copy is another one
            run_cancellable(lambda: part.set_length(size), token)
        self.cloned = False
        self._writer.restart(sums.blocks.unknown(size), size)
        self._files.close_until_used(same=True)

    def _make_room(self, kept: fs.File | None, end: int, source: fs.File | None) -> None:
        """Runs beside the calling thread, which may be gone when a system call returns here."""
        part = self._files.part
        if part and end:
            part.set_length(end)  # what lies beyond does not count
        elif kept:
            self._files.release_blocks(kept)  # or the old bytes would take the room of the new ones
        if source and part and not end and part.clone(source):
            self.cloned = True
        else:
            self._claim_space()

    def check(self) -> None:
        """Call this regularly while the part is filled, and while waiting for the hash of a clone.

        Raises: StorageError, when the part is unusable after a write error or has vanished, or the disk runs full.
        """
        self._watch()
        self._writer.check()
        self._writer.flush()
        if self.cloned and self._digest is None:
            self._writer.begin()
        if self._watched:
            missing = None if self.size is None else self.size - self.received
            space.watch(self.staging.part, missing, self._min_free)

    def verify(self, token: CancelToken) -> str:
        """Wait until all is hashed and synced, and compare the digest with the expected one. May be called again.

        If no digest is known, check the contents instead.

        Returns: the SHA-256. Raises: IntegrityError; Interrupted; StorageError.
        """
        size = self.size
        if size is None or self._writer.ranges.written < size:
            raise StorageError(f"{self.staging.part} is not complete", "Run the install command again.")
        if self._digest is None:
            self._digest = self._finish(size, token)
        identity.check_digest(self.artifact, self._known, Content(self._digest, size, self._further))
        if not self.provable:
            run_cancellable(lambda: identity.check_contents(self.staging.part, self.staging.target.name), token)
        return self._digest

    def _finish(self, size: int, token: CancelToken) -> str:
        digest = self._writer.finish(size, token)
        if self._files.part is None:
            raise RuntimeError(f"{self.staging.part} is not open")
        file = self._files.part.raw
        fill_in(file, size, self.blocks, token)  # of blocks whose bytes did not come in order
        self._further = hash_again(file, size, self.artifact.unread, token, lambda _done: None)
        info = file.info
        self.inode, self.mtime_ns = info.st_ino, info.st_mtime_ns
        file.stop_direct()
        self._files.close_until_used(same=True)
        return digest

    def damaged(self, token: CancelToken) -> list[Segment]:
        """What the disk does not return as it was written. Raises: Interrupted; StorageError."""
        if self._files.part is None:
            return []
        fs.forget_cached(self.staging.part)
        return damaged(self._files.part.raw, self.size or 0, self.blocks, token, lambda _done: None)

    @property
    def proof(self) -> str:
        """What `verify` compares the bytes with: the word for it that the receipt has."""
        proof = self.artifact.proof
        return "hub" if proof == "none" and self._known.sha256 else proof

    def finish_journal(self, entry: journal.CommitEntry) -> None:
        """Add the last line to the journal, durably. Raises: StorageError."""
        self._files.journal.finish(entry)

    def forget(self, segments: Sequence[Segment] | None = None) -> None:
        """Make these bytes, or all, count as missing again; the part keeps its room.

        Raises: Interrupted; StorageError.
        """

        def restart() -> None:
            with self._turn:
                if segments is None:
                    self.mixed = False
                    self._restart(Remote("", self.size if self.end_is_certain else None, None))
                else:
                    self.cloned, self._digest = False, None
                    self._writer.forget(segments, self._token)
                    self._senders.forget(segments)

        run_cancellable(restart, self._token)

    def suspend(self, until: float) -> int:
        """Stop all writing and keep what is there. Afterwards no thread of this process changes the files.

        Args:
            until: when to stop waiting, by `time.monotonic`.

        Returns: the bytes kept, all of them synced and in the journal; when that is 0, nothing is worth keeping.
        Raises: StorageError, when the part is unusable after a write error; TimeoutError, when a system call that
            changes the files did not return in time. Then the part has to be removed.
        """
        self._writer.ranges.close()
        part, log = self._left
        if part and log:
            return log.proved
        if not self.received:
            return 0
        if not self._turn.acquire(timeout=max(0.0, until - time.monotonic())):  # held while the part starts over
            raise TimeoutError
        try:
            kept = self._keep(until)
        finally:
            self._turn.release()
        self._writer.close()
        if kept and not self._files.close(until):
            raise TimeoutError
        return kept

    def _keep(self, until: float) -> int:
        if self.cloned or not identity.fits(self._known, self.artifact):
            return 0  # the copy is still there, or nothing would prove the bytes to the next run
        return self._writer.suspend(until, self.provable)

    def remove(self) -> bool:
        """Delete part and journal; False when there was no part. Raises: StorageError.

        Waits for no other thread: one that still writes has no name to write to, and cannot make one.
        """
        self.close()
        return self._files.remove()

    def close(self) -> None:
        """End all rights to write, and the threads. Waits for none of them."""
        self._writer.close()
        self._files.close()

    def check_there(self) -> None:
        """Raises: StorageError, when its file has vanished or is another one. May hang with the disk."""
        if self._files.part:
            self._files.part.check_there()

    @property
    def exists(self) -> bool:
        """Whether there is a file, as far as this process knows without asking the disk."""
        return bool(self._left[0] or self._files.part)
