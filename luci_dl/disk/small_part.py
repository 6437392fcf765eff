"""The part of a small file: its bytes are collected in memory, and written and synced at once when all are there.

It needs no threads, no blocks that are claimed, and no journal unless it is kept: a crash costs less than a MiB.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, identity, space
from luci_dl.disk.blocks import Blocks, digest_of
from luci_dl.disk.guarded_file import GuardedFile
from luci_dl.disk.hashing import Hashed
from luci_dl.disk.journal import Header
from luci_dl.disk.layout import Staging
from luci_dl.disk.part import Part
from luci_dl.disk.part_files import PartFiles
from luci_dl.disk.part_writer import PartWriter
from luci_dl.disk.range_map import RangeMap, merged
from luci_dl.model import Artifact
from luci_dl.plan import Lease, Segment

SMALL = 1 << 20
"""Files of fewer bytes are small."""


def part_for(staging: Staging, artifact: Artifact, min_free: int, watch: Callable[[], None]) -> Part:
    """The part of a file, which is a small one if the file is known to be small. Raises: as `Part`."""
    is_small = artifact.size is not None and artifact.size < SMALL
    return (SmallPart if is_small else Part)(staging, artifact, min_free, watch)


class SmallPart(Part):
    """A `Part` with its bytes in memory until it is verified. `open` and `verify` work in the calling thread."""

    has_journal = False

    def __init__(
        self, staging: Staging, artifact: Artifact, min_free: int = 0, watch: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(staging, artifact, min_free, watch)
        self._files: SmallFiles = SmallFiles(staging)
        self._writer: MemoryWriter = MemoryWriter(self._files)

    def readable(self, offset: int) -> int:
        """As `Part.readable`: nothing, before the file is installed."""
        return offset

    def open(self, resume: bool, token: CancelToken, hashed: Hashed, source: fs.File | None = None) -> int:
        """As `Part.open`; what an earlier run left is read into memory, and deleted."""
        self._token = token
        kept, log = self._left
        data = b""
        if resume and kept and log and identity.fits(log.header, self.artifact):
            data = _proved(fs.read_at(kept, SMALL, 0), log.checkpoints)
            self._known = log.header if data else self._known
        self._left = None, None
        self._files.clear()
        space.watch(self.staging.part, self.size, self._min_free + (self.size or 0))
        self._writer.begin_with(data, self.size)
        return self.received

    def mend(self, source: fs.File, known: Blocks, token: CancelToken, checked: Hashed) -> None:
        """Nothing: it has one block, which is damaged."""

    def verify(self, token: CancelToken) -> str:
        """As `Part.verify`; it works in the calling thread."""
        digest = super().verify(token)
        self._writer.data = bytearray()
        return digest

    def _finish(self, size: int, token: CancelToken) -> str:
        data = bytes(self._writer.data)
        self._further = {digest: digest.of(data) for digest in self.artifact.unread}
        info = self._files.store(data).raw.info
        self.inode, self.mtime_ns = info.st_ino, info.st_mtime_ns
        self._files.close_until_used(same=True)
        if data:
            self._writer.sums.learn(0, digest_of(data))
        return hashlib.sha256(data).hexdigest()

    def _keep(self, until: float) -> int:
        if not identity.fits(self._known, self.artifact):
            return 0
        if time.monotonic() > until:
            raise TimeoutError
        if self._digest and self.size:
            self._files.keep(self._known, self.size, self._digest)
            return self.size
        data = self._writer.taken()
        self._files.store(data)
        self._files.keep(self._known, len(data), hashlib.sha256(data).hexdigest())
        return len(data)


class MemoryWriter(PartWriter):
    """The bytes of a small part.

    Attributes:
        data: as long as the file; what is not received yet is zero.
    """

    def __init__(self, files: PartFiles) -> None:
        super().__init__(files)
        self.data = bytearray()

    def begin_with(self, data: bytes, size: int | None) -> None:
        """Begin behind `data`, which is the beginning of the file."""
        self.data[:] = data
        self.ranges = RangeMap([Segment(len(data), size)], size, self._store)

    @property
    def frontier(self) -> int:
        """Every byte below is there."""
        return self.ranges.written

    def buffer(self, lease: Lease) -> memoryview:
        """As `plan.Sink.buffer`."""
        end = SMALL if lease.end is None else lease.end
        return memoryview(bytearray(end - lease.pos + 1))  # a byte more shows that a file is longer than it should be

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        """As `plan.Sink.write`."""

        def put(offset: int, taken: int) -> None:
            if len(self.data) < offset:
                self.data += bytes(offset - len(self.data))
            self.data[offset : offset + taken] = data[:taken]

        taken = self.ranges.write(lease, len(data), put)
        self.ranges.store(lease)
        return taken

    def _store(self, lease: Lease) -> None:
        lease.stored = lease.pos

    def forget(self, segments: Sequence[Segment], token: CancelToken) -> None:
        """As `PartWriter.forget`."""
        self.halt()
        self.restart(merged([*self.ranges.missing, *segments]), self.ranges.size)

    def taken(self) -> bytes:
        """Every byte up to the first that is missing. None can be written any more."""
        self.ranges.halt()
        return bytes(self.data[: self.ranges.written])


class SmallFiles(PartFiles):
    """The part is made when it is stored, and the journal when it is kept."""

    def create(self, header: Header) -> None:
        """Nothing yet."""

    def begin_journal(self, header: Header) -> None:
        """Nothing yet."""

    def store(self, data: bytes) -> GuardedFile:
        """Write and sync the part. Raises: Revoked; StorageError."""
        if part := self.part:
            part.set_length(len(data))
        else:
            part = self.make_part()
        part.write(data, 0)
        part.sync()
        return part

    def keep(self, header: Header, size: int, sha256: str) -> None:
        """Make the journal of a part that was stored. Raises: Revoked; StorageError."""
        self.journal.begin(header)
        self.journal.record(checkpoint=(size, sha256))


def _proved(data: bytes, checkpoints: Iterable[tuple[int, str]]) -> bytes:
    """The longest beginning of the data that a checkpoint proves."""
    lengths = (at for at, sha256 in checkpoints if at <= len(data) and hashlib.sha256(data[:at]).hexdigest() == sha256)
    return data[: max(lengths, default=0)]
