"""The bytes so far of one file: what is there, what is proved. Implements `plan.Sink`."""

from __future__ import annotations

import functools
import hashlib
import threading

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs, identity, journal, space
from luci_dl.disk.buffers import Buffers
from luci_dl.disk.hashing import Hashed, hash_blob, longest_prefix
from luci_dl.disk.layout import Staging
from luci_dl.disk.part_files import PartFiles
from luci_dl.disk.range_map import RangeMap
from luci_dl.disk.write_behind import WriteBehind
from luci_dl.errors import IntegrityError, StorageError
from luci_dl.model import Artifact
from luci_dl.plan import Lease, Remote, Revoked

_ROOM_POLL_S = 0.1


class Part:
    """A `.part` being filled: `open`, fetch into it, `verify`. Then it is renamed, kept (`suspend`) or removed.

    Attributes:
        origin: where its bytes come from, for the receipt.
        cloned: it shares the blocks of a local copy, and has all of them.
    """

    def __init__(self, staging: Staging, artifact: Artifact, min_free: int = 0) -> None:
        """Touches nothing. Raises: StorageError, when what lies there is not luci's, or of another format."""
        self.staging = staging
        self.artifact = artifact
        self.origin = artifact.urls[0]
        self.cloned = False
        self.log = journal.Journal(staging.journal)
        self._left = fs.open_own(staging.part), journal.read(staging.journal)  # by an earlier run, until taken over
        self._min_free = min_free
        self._known = identity.promised(artifact)
        self._ranges = RangeMap(0, artifact.size)
        self._turn = threading.Lock()  # answers are held against what is known one after the other
        self._pair = PartFiles(staging)
        self._file: fs.File | None = None
        self._buffers = Buffers()
        self._follower: WriteBehind | None = None
        self._watched = False  # nothing could be preallocated: the free space has to be watched

    def open(self, resume: bool, token: CancelToken, hashed: Hashed, source: fs.File | None = None) -> int:
        """Take over what an earlier run left, as far as it is proved, and claim the space if the size is known.

        `source`: a copy of the file; where nothing was left, its blocks are shared if the file system can do that.

        Returns: the first byte that is missing. Raises: Interrupted; StorageError.
        """
        kept, log = self._left
        offset = 0
        if resume and kept and log and identity.fits(log.header, self.artifact):
            offset, sha = longest_prefix(kept, log.marks, token, hashed)
        self._left = None, None
        if kept and log and offset:
            self._known = log.header
            self.log.go_on(log)
            self._follow(kept, offset, sha)
        else:
            self._pair.clear()
            if source:
                self._known = identity.learn(self._known, Remote("", source.size, None))
            if self.size is not None:
                self._create()
        self._ranges = RangeMap(offset, self.size)

        def make_room() -> None:
            if kept and offset:
                fs.set_length(kept, offset)  # what lies beyond is not proved
            elif kept:
                fs.release_blocks(kept)  # or the old bytes would stand in the way of the new ones
            if source and self._file and not offset and fs.clone(source, self._file):
                self.cloned = True
            else:
                self._claim_space()

        run_cancellable(make_room, token)
        if self.cloned and self.size is not None:
            self._ranges = RangeMap(self.size, self.size)
            self._write_behind_or_raise().accept(self.size)
        return self.received

    def verify(self, token: CancelToken) -> str:
        """Wait until all is hashed and synced, and hold the digest against the one expected.

        Returns: the SHA-256. Raises: IntegrityError; Interrupted; StorageError.
        """
        size = self.size
        if size is None or self._ranges.written < size:
            raise StorageError(f"{self.staging.part} is not complete", "Run the install command again.")
        identity.check_size(self.artifact, size)
        digest = self._write_behind_or_raise().finish(size, token)
        blob_sha1 = None
        if self.artifact.blob_sha1:
            blob_sha1 = hash_blob(self._opened(), size, token, lambda _done: None)
        identity.check_digest(self.artifact, self._known, digest, size, blob_sha1)
        return digest

    def forget(self) -> None:
        """Every byte counts as missing again; the part's room stays claimed."""
        with self._turn:
            self._restart(Remote("", self.size, None))

    def suspend(self, token: CancelToken) -> int:
        """Stop all writing and keep what is there.

        Returns: the bytes kept, all of them synced and in the journal; when that is 0, nothing is worth keeping.
        Raises: Interrupted; StorageError, when the part is condemned.
        """
        self._ranges.close()
        with self._turn:  # an answer that makes it start over is through with that
            self._ranges.halt()
            worth = self._follower and identity.fits(self._known, self.artifact)  # for the next run, that is
            worth = worth and not self.cloned  # the copy is still there
            kept = self._ranges.written if worth else 0
        if kept:
            self._write_behind_or_raise().finish(kept, token)
            self._write_behind_or_raise().stop_writing()  # what lies beyond, too: others may have the part next
        self.close()
        part, log = self._left
        return max((offset for offset, _ in log.marks), default=0) if part and log else kept

    def remove(self) -> bool:
        """Delete part and journal; False when there was no part. Raises: StorageError.

        Waits for nobody: a thread that still writes has no name to write to, and gets none any more.
        """
        self.close()
        return self._pair.remove()

    def close(self) -> None:
        """End all rights to write, and the threads behind."""
        self._ranges.close()
        if self._follower:
            self._follower.stop()

    def check(self) -> None:
        """Raises: StorageError, when the part is condemned or the disk runs full."""
        if self._follower and self._follower.error:
            raise self._follower.error
        if self._watched:
            space.watch(self.staging.part, self._lacking, self._min_free)

    @property
    def _lacking(self) -> int | None:
        """Bytes that are yet to come; None while nobody knows."""
        return None if self.size is None else self.size - self.received

    @property
    def inode(self) -> int:
        return self._opened().inode

    @property
    def mtime_ns(self) -> int:
        return self._opened().mtime_ns

    @property
    def proof(self) -> str:
        """Against what `verify` holds the bytes: the word that the receipt keeps."""
        proof = self.artifact.proof
        return "hub" if proof == "none" and self._known.sha256 else proof

    # plan.Sink, called by the workers of a fetch:

    @property
    def size(self) -> int | None:
        return self._known.size

    @property
    def frontier(self) -> int:
        return self._follower.frontier if self._follower else 0

    @property
    def received(self) -> int:
        return self._ranges.received

    @property
    def fetched(self) -> int:
        return self._ranges.fetched

    @property
    def provable(self) -> bool:
        return identity.provable(self._known)

    def validator(self, url: str) -> str | None:
        return self._known.validators.get(url)

    def claim(self, at_most: int | None = None, within: int | None = None) -> Lease | None:
        return self._ranges.claim(at_most, within)

    def shorten(self, lease: Lease, end: int) -> bool:
        return self._ranges.shorten(lease, end)

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
        return self._buffers.take()

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        if self.size is not None and lease.pos + len(data) > self.size:
            raise IntegrityError(f"the server sends more than the {self.size} bytes of {self.artifact.name}")
        if lease.pos < len(identity.MAGIC):
            identity.check_beginning(self.artifact, lease.pos, bytes(data[:16]))
        data = self._buffers.pack(data)
        self._wait_for_room(lease, lease.pos + len(data))
        follower = self._write_behind_or_raise()
        taken, accepted = self._ranges.write(lease, len(data), lambda offset, taken: follower.put(offset, data[:taken]))
        follower.accept(accepted)
        return taken

    def end_of_file(self, lease: Lease) -> None:
        with self._turn:
            self._learn(Remote("", lease.pos, None))

    def revoke(self, lease: Lease) -> None:
        self._ranges.revoke(lease)

    # what the above is made of:

    def _start(self, remote: Remote) -> None:
        """The first answer: the part gets its header and, where the size was not known until now, its room."""
        self._learn(remote)
        if self._file:
            self._pair.begin(self.log, self._known)
        else:
            self._create()
            self._claim_space()

    def _learn(self, remote: Remote) -> None:
        self._known = identity.learn(self._known, remote)
        if self.size is not None:
            self._ranges.learn_size(self.size)

    def _restart(self, remote: Remote) -> None:
        """Nobody may write any more, and nothing that is there counts; the part's room stays claimed."""
        self._ranges.halt()
        self._known = identity.learn(identity.promised(self.artifact), remote)
        if self._file:
            self._write_behind_or_raise().stop_writing()
            fs.set_length(self._file, 0 if self.cloned else min(self._file.size, self.size or 0))
            self.cloned = False
            self._follow(self._file, 0, hashlib.sha256())
        else:
            self._create()
        self._ranges.restart(self.size)
        self._claim_space()

    def _create(self) -> None:
        self._follow(self._pair.create(), 0, hashlib.sha256())

    def _follow(self, file: fs.File, offset: int, sha: hashlib._Hash) -> None:
        if offset == 0:
            self.log = journal.Journal(self.staging.journal)  # a stopped follower may still write to its own
            self._pair.begin(self.log, self._known)
        self._file = file
        self._follower = WriteBehind(file, self.log, self._buffers, offset, sha)

    def _claim_space(self) -> None:
        if self._file:
            promised = functools.partial(space.promised, self.staging)
            self._watched = self.size is None or not space.claim(self._file, self.size, self._min_free, promised)

    def _wait_for_room(self, lease: Lease, end: int) -> None:
        follower = self._write_behind_or_raise()
        while not follower.has_room(end) and not lease.revoked:
            if follower.error:
                raise follower.error
            follower.wait_for_room(end, _ROOM_POLL_S)

    def _opened(self) -> fs.File:
        if self._file is None:
            raise RuntimeError(f"{self.staging.part} is not open")
        return self._file

    def _write_behind_or_raise(self) -> WriteBehind:
        if self._follower is None:
            raise RuntimeError(f"{self.staging.part} is not open")
        return self._follower
