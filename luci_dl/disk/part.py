"""The bytes so far of one file: what is there, what is proved. Implements `plan.Sink`."""

from __future__ import annotations

import functools
import hashlib
import threading
import time

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs, identity, journal, space
from luci_dl.disk.hashing import Hashed, hash_blob, longest_prefix
from luci_dl.disk.layout import Staging
from luci_dl.disk.part_files import PartFiles
from luci_dl.disk.part_writer import PartWriter
from luci_dl.disk.range_map import RangeMap
from luci_dl.errors import IntegrityError, StorageError
from luci_dl.model import Artifact
from luci_dl.plan import Lease, Remote, Revoked


class Part:
    """A `.part` being filled: `open`, fetch into it, `verify`. Then it is renamed, kept (`suspend`) or removed.

    Attributes:
        origin: where its bytes come from, for the receipt.
        cloned: it shares the blocks of a local copy, and has all of them.
        inode, mtime_ns: of the file when it was verified.
    """

    def __init__(self, staging: Staging, artifact: Artifact, min_free: int = 0) -> None:
        """Changes nothing. Raises: StorageError, when what is there is not luci's, or of another format."""
        self.staging = staging
        self.artifact = artifact
        self.origin = artifact.urls[0]
        self.cloned = False
        self.inode = self.mtime_ns = 0
        self._left = fs.open_own(staging.part), journal.read(staging.journal)  # by an earlier run, until taken over
        self._min_free = min_free
        self._known = identity.promised(artifact)
        self._files = PartFiles(staging)
        self._writer = PartWriter(self._files)
        self._token = CancelToken()
        self._turn = threading.Lock()  # held to change `_known` or to start the part over
        self._digest: str | None = None  # of the whole, once it is hashed and synced
        self._blob_sha1: str | None = None  # the same, where one is expected
        self._watched = False  # nothing could be preallocated: the free space has to be watched

    def open(self, resume: bool, token: CancelToken, hashed: Hashed, source: fs.File | None = None) -> int:
        """Take over what an earlier run left, as far as it is proved, and claim the space if the size is known.

        Args:
            source: a copy of the file; where nothing was left, its blocks are shared if the file system can do that.

        Returns: the first byte that is missing. Raises: Interrupted; StorageError.
        """
        self._token = token
        kept, log = self._left
        offset, sha = 0, hashlib.sha256()
        if resume and kept and log and identity.fits(log.header, self.artifact):
            offset, sha = longest_prefix(kept, log.checkpoints, token, hashed)
        self._left = None, None
        if kept and log and offset:
            self._known = log.header
            self._files.resume(kept, log)
        else:
            self._files.clear()
            if source:
                self._known = identity.learn(self._known, Remote("", source.size, None))
            if self.size is not None:
                self._files.create(self._known)
        self._writer.resume(offset, sha, self.size)
        run_cancellable(lambda: self._make_room(kept, offset, source), token)
        if self.cloned:
            self._writer.ranges = RangeMap(self.size or 0, self.size)
        self._files.rest(same=bool(offset))
        return self.received

    def _make_room(self, kept: fs.File | None, offset: int, source: fs.File | None) -> None:
        """Beside the calling thread, which may be gone when this comes back from the system."""
        part = self._files.part
        if part and offset:
            part.set_length(offset)  # what lies beyond is not proved
        elif kept:
            self._files.release_blocks(kept)  # or the old bytes would take the room of the new ones
        if source and part and not offset and part.clone(source):
            self.cloned = True
        else:
            self._claim_space()

    def verify(self, token: CancelToken) -> str:
        """Wait until all is hashed and synced, and compare the digest with the one expected.

        Returns: the SHA-256. Raises: IntegrityError; Interrupted; StorageError.
        """
        size = self.size
        if size is None or self._writer.ranges.written < size:
            raise StorageError(f"{self.staging.part} is not complete", "Run the install command again.")
        identity.check_size(self.artifact, size)
        if self._digest is None:
            digest = self._writer.finish(size, token)
            file = self._opened()
            if self.artifact.blob_sha1:
                self._blob_sha1 = hash_blob(file, size, token, lambda _done: None)
            file.stop_direct()
            self.inode, self.mtime_ns, self._digest = file.inode, file.mtime_ns, digest
            self._files.rest(same=True)
        identity.check_digest(self.artifact, self._known, self._digest, size, self._blob_sha1)
        return self._digest

    def forget(self) -> None:
        """Make every byte count as missing again; the part's room stays claimed. Raises: Interrupted; StorageError."""

        def restart() -> None:
            with self._turn:
                self._restart(Remote("", self.size, None))

        run_cancellable(restart, self._token)

    def suspend(self, until: float) -> int:
        """Stop all writing and keep what is there. Afterwards no thread of this process changes the files.

        Args:
            until: when to stop waiting, by `time.monotonic`.

        Returns: the bytes kept, all of them synced and in the journal; when that is 0, nothing is worth keeping.
        Raises: StorageError, when the part is unusable after a write error; TimeoutError, when the system did not
            let go of it in time. It has to be removed then.
        """
        self._writer.ranges.close()
        part, log = self._left
        if part and log:
            return max((offset for offset, _ in log.checkpoints), default=0)
        if not self.received:
            return 0
        if not self._turn.acquire(timeout=max(0.0, until - time.monotonic())):  # held while an answer starts it over
            raise TimeoutError
        try:
            kept = self._worth_keeping(until)
        finally:
            self._turn.release()
        self._writer.close()
        if kept and not self._files.close(until):
            raise TimeoutError
        return kept

    def _worth_keeping(self, until: float) -> int:
        if self.cloned or not identity.fits(self._known, self.artifact):
            return 0  # the copy is still there, or nothing would prove the bytes to the next run
        return self._writer.suspend(until)

    def remove(self) -> bool:
        """Delete part and journal; False when there was no part. Raises: StorageError.

        Does not wait: a late write goes to the unlinked file.
        """
        self.close()
        return self._files.remove()

    def close(self) -> None:
        """Revoke all leases and stop the background threads, without waiting."""
        self._writer.close()
        self._files.close()

    def check(self) -> None:
        """To be called again and again while the part is filled, or the hash of a clone is waited for.

        Raises: StorageError, when the part is unusable after a write error or the disk runs full.
        """
        self._writer.check()
        if self.cloned and self._digest is None:
            self._writer.read_back()
        if self._watched:
            lacking = None if self.size is None else self.size - self.received
            space.watch(self.staging.part, lacking, self._min_free)

    @property
    def is_there(self) -> bool:
        """Whether there is a file, as far as this process knows without asking the disk."""
        return bool(self._left[0] or self._files.part)

    @property
    def log(self) -> journal.Journal:
        return self._files.journal

    @property
    def proof(self) -> str:
        """What `verify` compares the bytes with: the word that the receipt keeps."""
        proof = self.artifact.proof
        return "hub" if proof == "none" and self._known.sha256 else proof

    # plan.Sink, called by the workers of a fetch:

    @property
    def size(self) -> int | None:
        return self._known.size

    @property
    def frontier(self) -> int:
        return self._writer.frontier

    @property
    def received(self) -> int:
        return self._writer.ranges.received

    @property
    def fetched(self) -> int:
        return self._writer.ranges.fetched

    @property
    def provable(self) -> bool:
        return identity.provable(self._known)

    def validator(self, url: str) -> str | None:
        return self._known.validators.get(url)

    def claim(self, at_most: int | None = None, within: int | None = None) -> Lease | None:
        return self._writer.ranges.claim(at_most, within)

    def shorten(self, lease: Lease, end: int) -> bool:
        return self._writer.ranges.shorten(lease, end)

    def begin(self, lease: Lease, remote: Remote, offset: int) -> None:
        with self._turn:
            if lease.revoked:
                raise Revoked
            identity.check_promise(self.artifact, remote)
            other = identity.differs(self._known, remote)
            if other and self.fetched and not self.provable:
                raise IntegrityError(
                    f"{self.artifact.name} changed on the server while it was downloaded", "Run the command again."
                )
            if other or offset != lease.pos:
                self._restart(remote)
            elif self.received:
                self._learn(remote)
            else:
                self._start(remote)

    def buffer(self) -> memoryview:
        return self._writer.buffers.take()

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        if self.size is not None and lease.pos + len(data) > self.size:
            raise IntegrityError(f"the server sends more than the {self.size} bytes of {self.artifact.name}")
        if lease.pos < len(identity.MAGIC):
            identity.check_beginning(self.artifact, lease.pos, bytes(data[:16]))
        return self._writer.write(lease, data)

    def end_of_file(self, lease: Lease) -> None:
        with self._turn:
            self._learn(Remote("", lease.pos, None))

    def revoke(self, lease: Lease) -> None:
        self._writer.ranges.revoke(lease)

    # what the above is made of:

    def _start(self, remote: Remote) -> None:
        """The first answer: the part gets its header and, where the size was not known until now, its room."""
        self._learn(remote)
        if self._files.part:
            self._files.begin_journal(self._known)
        else:
            self._files.create(self._known)
            self._claim_space()

    def _learn(self, remote: Remote) -> None:
        self._known = identity.learn(self._known, remote)
        if self.size is not None:
            self._writer.ranges.learn_size(self.size)

    def _restart(self, remote: Remote) -> None:
        """Revoke all leases and count every byte as missing again; the part's room stays claimed."""
        self._writer.halt()
        self._digest = None
        self._known = identity.learn(identity.promised(self.artifact), remote)
        if part := self._files.part:
            part.set_length(0 if self.cloned else min(part.size, self.size or 0))
            self.cloned = False
            self._files.replace_journal(self._known)
        else:
            self._files.create(self._known)
        self._writer.restart(self.size)
        self._claim_space()

    def _claim_space(self) -> None:
        if part := self._files.part:
            promised = functools.partial(space.promised, self.staging)
            self._watched = self.size is None or not space.claim(part, self.size, self._min_free, promised)

    def _opened(self) -> fs.File:
        if self._files.part is None:
            raise RuntimeError(f"{self.staging.part} is not open")
        return self._files.part.raw
