"""The workers' side of a part: bytes come in, and every answer is checked against what is known. Is a `plan.Sink`."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator

from luci_dl.disk import identity, space
from luci_dl.disk.blocks import Blocks
from luci_dl.disk.layout import Staging
from luci_dl.disk.part_files import PartFiles
from luci_dl.disk.part_writer import PartWriter
from luci_dl.disk.senders import Sender, Senders
from luci_dl.errors import IntegrityError
from luci_dl.formats.reading import BEGINNING
from luci_dl.model import Artifact
from luci_dl.plan import Lease, Remote, Revoked, Segment

MAX_VERSIONS = 2
"""A download without a digest starts over once if its file changes, or the servers behind one address disagree."""


class PartSink:
    """A `plan.Sink` for one part. `Part` adds its life: how it is opened, verified, kept and removed.

    Attributes:
        cloned: the part shares the blocks of a local copy, and has all of them.
        mixed: the responses disagreed on the file, so it may be one that was never meant, or bytes of several.
        end_is_certain: False when the connection may have been lost where the file was taken to end.
        commit: the one that the bytes are from, if the Hub sent them.
    """

    def __init__(self, staging: Staging, artifact: Artifact, min_free: int) -> None:
        self.staging = staging
        self.artifact = artifact
        self.cloned = False
        self.mixed = False
        self.end_is_certain = True
        self.commit = ""
        self._senders = Senders()
        self._min_free = min_free
        self._known = identity.promised(artifact)
        self._files = PartFiles(staging)
        self._writer = PartWriter(self._files)
        self._turn = threading.Lock()  # held by whoever changes `_known` or starts the part over
        self._digest: str | None = None  # of the whole, once it is hashed and synced
        self._versions = 1  # of a file without a digest: how many the responses of this run had
        self._watched = False  # no blocks could be claimed, so the free space has to be watched

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
        """Bytes written by this process; those that were fetched again count again."""
        return self._writer.ranges.fetched

    def readable(self, offset: int) -> int:
        """The first byte from `offset` on that cannot be read from the part yet. What can be read is not proved yet."""
        return self._writer.readable(offset)

    def want(self, offset: int) -> None:
        """Let the byte there come soon, if it is missing."""
        self._writer.ranges.want(offset)

    @property
    def restarts(self) -> int:
        """How often bytes that could be read were dropped: others come in their place."""
        return self._writer.ranges.restarts

    @property
    def blocks(self) -> Blocks:
        """The digests of its blocks, as far as they are known."""
        return self._writer.sums.blocks

    @property
    def provable(self) -> bool:
        return self._known.provable

    def validator(self, url: str) -> str | None:
        return self._known.validator(url)

    def claim(self, piece: int | None = None, within: int | None = None) -> Lease | None:
        return self._writer.ranges.claim(piece, within)

    @property
    def has_gap(self) -> bool:
        return self._writer.ranges.has_gap

    def shorten(self, lease: Lease, end: int) -> bool:
        return self._writer.ranges.shorten(lease, end)

    def extend(self, lease: Lease) -> bool:
        return self._writer.ranges.extend(lease)

    def revoke(self, lease: Lease) -> None:
        self._writer.ranges.revoke(lease)
        self._senders.end(lease)

    def buffer(self, lease: Lease) -> memoryview:
        return self._writer.buffer(lease)

    def begin(self, lease: Lease, remote: Remote, offset: int) -> None:
        with self._turn:
            if lease.revoked:
                raise Revoked
            identity.check_promise(self.artifact, remote)
            other = identity.differs(self._known, remote)
            self.mixed |= other or identity.is_other_version(self._known, remote)
            self.mixed |= offset != lease.pos and remote.size is None  # it cannot be compared
            if other and self.fetched and not self.provable:
                self._count_version()
            if other or offset != lease.pos:
                self._restart(remote)
            elif self.received:
                self._learn(remote)
            else:
                self._start(remote)
            self._senders.begin(lease, remote)
            self.commit = remote.commit or self.commit

    def sent(self) -> dict[Sender, Blocks]:
        """The digests of the blocks that each sender sent whole, of those that the part has."""
        return self._senders.sent(self.blocks, self.size or 0)

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        if self.size is not None and lease.pos + len(data) > self.size:
            raise IntegrityError(f"the server sends more than the {self.size} bytes of {self.artifact.name}")
        if lease.pos < BEGINNING:
            from luci_dl.formats.check import check_beginning  # slow to load: the request goes out before it

            check_beginning(self.artifact.name, lease.pos, bytes(data[:BEGINNING]), proved=self.provable)
        return self._writer.write(lease, data)

    @contextlib.contextmanager
    def lent(self) -> Iterator[int]:
        """Let another library write into free segments while the block runs. Closing the part waits for its end.

        Returns: the descriptor of the file. Raises: Revoked; StorageError.
        """
        if self._files.part is None:
            raise Revoked
        with self._files.part.lent() as file:
            yield file.fd

    def place(self, start: int, end: int) -> None:
        """Take over bytes that were written so. From then on only this process may change them.

        Args:
            start: a multiple of a block of `disk.blocks`; so is `end`, unless the file ends there.

        Raises: Revoked; StorageError.
        """
        self._writer.place(start, end)

    @property
    def missing(self) -> list[Segment]:
        """The free segments, in order."""
        return self._writer.ranges.missing

    def end_of_file(self, lease: Lease, certain: bool) -> None:
        with self._turn:
            self.end_is_certain = certain
            self.mixed |= self.size not in (None, lease.pos)
            self._writer.ranges.store(lease)
            self._learn(Remote("", lease.pos, None))

    def _count_version(self) -> None:
        """Raises: IntegrityError, when the file has changed more often than `MAX_VERSIONS` allows."""
        self._versions += 1
        if self._versions > MAX_VERSIONS:
            raise IntegrityError(
                f"{self.artifact.name} changes on the server while it is downloaded, and no digest is known",
                "Give its digest with --sha256, or run the command again.",
            )

    def _start(self, remote: Remote) -> None:
        """Take the first answer: the part gets its header and, if its size was not known before, its room."""
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
        """Revoke all leases and begin again at byte 0; the part keeps its room."""
        self._writer.halt()
        self._digest = None
        self._senders.forget([Segment(0, None)])
        known = identity.learn(identity.promised(self.artifact), remote)
        if part := self._files.part:
            part.set_length(0 if self.cloned else min(part.size, known.size or 0))
            self.cloned = False
            self._files.replace_journal(known)
        else:
            self._files.create(known)
        self._writer.restart([Segment(0, known.size)], known.size)
        self._known = known  # only now: the bytes received before, and this size, could look like a complete file
        self._claim_space()

    def _claim_space(self) -> None:
        if part := self._files.part:
            promised = functools.partial(space.promised, self.staging)
            self._watched = self.size is None or not space.claim(part, self.size, self._min_free, promised)
