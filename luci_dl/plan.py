"""What is to be installed, and the interface between the network and the disk."""

from __future__ import annotations

import threading
from dataclasses import field
from pathlib import Path
from typing import Protocol

from luci_dl.frozen import frozen
from luci_dl.model import Artifact, Model
from luci_dl.rate_limit import UNLIMITED, RateLimit


@frozen
class Plan:
    """One model to install into one folder, all its files or none.

    Attributes:
        backup: where it goes if the folder cannot hold it.
        replaces: names of all files of the installed version that this one replaces: those that it does not have, and
            no other model needs, are removed.
    """

    model: Model
    folder: Path
    backup: Path | None = None
    replaces: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return self.model.reference

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return self.model.artifacts


@frozen
class Options:
    """How to install.

    Attributes:
        jobs: models to install side by side.
        connections: for each file; None to determine the number by measuring.
        limit_rate: of all connections and jobs together.
        retries: consecutive failures allowed, without a MiB of progress between them.
        timeout: seconds without a byte after which a connection is given up; None: longer for the first byte.
        wait: seconds to wait for another process that holds the lock; None: as long as it takes.
        keep_partial: keep partial downloads when interrupted.
        resume: resume a kept partial download, as far as its bytes are proved.
        force: replace an existing file at the target, even one that luci did not install.
        upgrade: replace files that luci installed by newer versions.
        unverified: allow plain http without a digest.
        min_free: bytes of the disk to leave free.
        offline: make no requests.
        adopt: copy a file from the caches of other programs, if it is there, instead of fetching it.
        copies: further files and folders to look for copies in.
        links: programs and folders to link the models to.
        lan: servers on the LAN to ask for files before any other.
        swarm: share what these have with other hosts that fetch it.
    """

    jobs: int = 1
    connections: int | None = None
    limit_rate: RateLimit = UNLIMITED
    retries: int = 10
    timeout: float | None = None
    wait: float | None = None
    keep_partial: bool = False
    resume: bool = True
    force: bool = False
    upgrade: bool = False
    unverified: bool = False
    min_free: int = 1 << 30
    offline: bool = False
    adopt: bool = True
    copies: tuple[Path, ...] = ()
    links: tuple[str, ...] = ()
    lan: tuple[str, ...] = ()
    swarm: bool = False


@frozen
class Segment:
    """The bytes from `start` up to, not including, `end`, which is None while the file's size is unknown."""

    start: int
    end: int | None


@frozen
class Remote:
    """What a response says about the whole file, before its first byte.

    Attributes:
        url: the requested address, before redirects, without credentials.
        size: bytes; None if the server does not say.
        validator: a strong ETag, for If-Range at this server; None if there is none.
        sha256: the digest that the Hub sends (X-Linked-Etag); None for other servers.
        names: file names that it suggests, best first, unchecked.
        served_by: the host that sent it, which after a redirect is not that of the `url`; empty if there is none.
        commit: the one that the file is from, as the Hub says (X-Repo-Commit), 40 hex digits; empty for other servers.
    """

    url: str = field(repr=False)
    size: int | None
    validator: str | None
    sha256: str | None = None
    names: tuple[str, ...] = ()
    served_by: str = ""
    commit: str = ""


class Lease:
    """The right of one worker to write one segment from `pos` on, until it is revoked.

    Attributes:
        pos: where the next byte belongs.
        stored: every byte of the segment below is on its way to the disk; those up to `pos` are still collected.
        end: where the segment ends; None while the file's size is unknown.
        awaited: when somebody last waited for its next byte, by `time.monotonic`; 0 for never.
        lock: held by the thread that writes with the lease, or ends it.
    """

    __slots__ = ("awaited", "end", "lock", "pos", "revoked", "stored")

    def __init__(self, segment: Segment) -> None:
        self.pos = self.stored = segment.start
        self.end = segment.end
        self.awaited = 0.0
        self.revoked = False
        self.lock = threading.Lock()


WINDOW = 1 << 30
"""How far beyond the last checkpoint workers may write, in bytes; `write` waits beyond. All pieces must fit into it."""

PAGE = 4096
"""Blocks that begin and end at multiples of this, in bytes, can be written past the page cache."""


class Revoked(Exception):
    """The right to write has ended. Another worker may write there now, so what the worker holds is dropped."""


class Sink(Protocol):
    """Where a fetch puts bytes. Any thread may call."""

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, once known."""
        ...

    @property
    def frontier(self) -> int:
        """Every byte below is on disk and hashed."""
        ...

    @property
    def received(self) -> int:
        """Bytes that are written, at the frontier or beyond."""
        ...

    @property
    def restarts(self) -> int:
        """How often bytes that could be read were dropped: others come in their place."""
        ...

    def validator(self, url: str) -> str | None:
        """What `If-Range` must say at that address, so that its bytes fit those received; None if unknown."""
        ...

    @property
    def provable(self) -> bool:
        """True when a digest proves the whole file in the end, whichever responses its bytes came from."""
        ...

    def begin(self, lease: Lease, remote: Remote, offset: int) -> None:
        """Compare what a response says about the file with what is known, and claim the space once.

        If the bytes received cannot be continued (another version of the file, or no ranges), they no longer count, and
        every lease is revoked, this one too: all can be claimed again.

        Args:
            offset: where the body of the response begins.

        Raises: Revoked; IntegrityError, when it is not the expected file; StorageError, when there is no room.
        """
        ...

    def claim(self, piece: int | None = None, within: int | None = None) -> Lease | None:
        """The right to write the first free segment, all of it or to about the next multiple of `piece` bytes.

        Returns: None when none is free, or none that begins less than `within` bytes beyond the bytes received in
            order.
        """
        ...

    @property
    def has_gap(self) -> bool:
        """Whether a segment before all leases is free. `write` comes to wait for it, if nobody claims it."""
        ...

    def shorten(self, lease: Lease, end: int) -> bool:
        """End the lease at `end`, so that others can claim what lies beyond. False when it is written that far."""
        ...

    def extend(self, lease: Lease) -> bool:
        """Move the end of the lease to the end of the free segment that follows it. False when none does.

        May wait for a moment, to see whether the lease behind it gets its first byte.
        """
        ...

    def buffer(self, lease: Lease) -> memoryview:
        """Memory to read the lease's next bytes into: up to 4 MiB, less with many leases. The caller's until `write`.

        Bytes that are read elsewhere can be written, too, but have to be copied. Raises: Revoked.
        """
        ...

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        """Write `data` at the lease's position, and move that on. Waits, in the end, while disk or hash are behind.

        Args:
            data: the beginning of the lease's `buffer`, or any other bytes. The sink collects them into large blocks.

        Returns: the bytes taken, fewer than all if the lease ends before. Raises: Revoked; IntegrityError, when there
            are more than the file can have; StorageError.
        """
        ...

    def end_of_file(self, lease: Lease, certain: bool) -> None:
        """Learn that a response with the whole file ended at the lease's position: its size, if that is not known.

        Args:
            certain: the stream was complete; else the connection may have been lost there.
        """
        ...

    def revoke(self, lease: Lease) -> None:
        """End the lease, after a write under way. What was not written can be claimed again."""
        ...
