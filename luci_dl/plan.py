"""What is to be done, and the one door between the network and the disk."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from luci_dl.model import Artifact, Model


@dataclass(frozen=True)
class Plan:
    """One model to be installed into one folder, all its files or none; into the `backup` if that cannot hold it."""

    model: Model
    folder: Path
    backup: Path | None = None

    @property
    def reference(self) -> str:
        return self.model.reference

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return self.model.artifacts


@dataclass(frozen=True)
class Options:
    """How to install.

    Attributes:
        jobs: models side by side.
        connections: for each file; None to find out by measuring.
        limit_rate: bytes a second, of all connections and jobs together; None for no limit.
        retries: failed attempts in a row, without a MiB of progress between them, before giving up.
        wait: seconds to wait for another process that holds the target; None: as long as it takes.
        keep_partial: keep the part when interrupted.
        resume: go on from a kept part as far as it is proved.
        force: replace a file that stands at the target, even one that luci did not install.
        unverified: allow plain http without a digest.
        min_free: bytes that stay free on the disk.
        offline: ask no server.
        adopt: take a right copy from the caches of other programs instead of fetching it.
        copies: files and folders in which to look for right copies, too.
    """

    jobs: int = 1
    connections: int | None = None
    limit_rate: int | None = None
    retries: int = 10
    wait: float | None = None
    keep_partial: bool = False
    resume: bool = True
    force: bool = False
    unverified: bool = False
    min_free: int = 1 << 30
    offline: bool = False
    adopt: bool = True
    copies: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Segment:
    """The bytes from `start` up to, not including, `end`; `end` is None while the file's size is not known."""

    start: int
    end: int | None


@dataclass(frozen=True)
class Remote:
    """What a server says of a whole file, before its first byte.

    Attributes:
        url: the address asked, before redirects, without credentials.
        size: bytes; None when the server does not say.
        validator: a strong ETag, good for If-Range at this server; None when it has none.
        sha256: the digest by the Hub's word (X-Linked-Etag); None elsewhere.
    """

    url: str
    size: int | None
    validator: str | None
    sha256: str | None = None


class Lease:
    """The right of one worker to write one segment, from `pos` on, until it is revoked.

    Attributes:
        end: where the segment ends; None while the file's size is not known.
        lock: held to write under the lease, or to end it.
    """

    __slots__ = ("end", "lock", "pos", "revoked")

    def __init__(self, segment: Segment) -> None:
        self.pos = segment.start
        self.end = segment.end
        self.revoked = False
        self.lock = threading.Lock()


BUFFER = 4 << 20
"""Bytes of the memory that a worker reads into: disks take large blocks faster."""
PAGE = 4096
"""Blocks that begin and end at multiples of so many bytes go to the disk the short way."""


class Revoked(Exception):
    """The lease has ended: another worker may already write there, so this one drops what it holds."""


class Sink(Protocol):
    """Where a fetch puts bytes. All methods may be called from any thread."""

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, once known."""
        ...

    @property
    def frontier(self) -> int:
        """Every byte below is there and hashed."""
        ...

    @property
    def received(self) -> int:
        """Bytes that are there, at the frontier or beyond."""
        ...

    def validator(self, url: str) -> str | None:
        """What `If-Range` must name at that address so that its bytes fit those that are there; None: not known."""
        ...

    @property
    def provable(self) -> bool:
        """True when the whole can be proved by a digest at the end, whichever answers its bytes came from."""
        ...

    def begin(self, lease: Lease, remote: Remote, offset: int) -> None:
        """Record what an answer says about the file, check it against what is known, and claim the space once.

        `offset` is where the answer's body begins. Where the bytes that are there cannot be resumed (another
        version, or no ranges), they are forgotten and every lease revoked, this one too: all can be claimed again.

        Raises: Revoked; IntegrityError, when it is not the file that was promised; StorageError, when there is no room.
        """
        ...

    def claim(self, at_most: int | None = None, within: int | None = None) -> Lease | None:
        """The right to write the first unclaimed segment, or its first `at_most` bytes.

        Returns: None when there is none left, or none that begins less than `within` bytes beyond what is there in
            order.
        """
        ...

    def shorten(self, lease: Lease, end: int) -> bool:
        """Have the lease end at `end`, so that others can claim what lies beyond. False when it has come that far."""
        ...

    def buffer(self) -> memoryview:
        """Memory to read into, `BUFFER` bytes of it, that begins at a page. It is the caller's until `write` has it."""
        ...

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        """Have `data` put at the lease's position, and move that on. May wait while the disk or the hash is behind.

        The sink keeps `data` for a while: a part of a `buffer` must begin where that does, and stay unchanged.

        Returns: the bytes taken, fewer than there are when the lease ends before. Raises: Revoked; IntegrityError, when
            there is more than the file may have; StorageError.
        """
        ...

    def end_of_file(self, lease: Lease) -> None:
        """The stream of a file of unknown size ended, provably complete, at the lease's position."""
        ...

    def revoke(self, lease: Lease) -> None:
        """End the lease; no write under it happens after this returns. What it did not write can be claimed again."""
        ...


Kind = Literal["gguf", "any"]


def kind_of(name: str) -> Kind:
    """What the file's first bytes must look like, by its name."""
    return "gguf" if name.lower().endswith(".gguf") else "any"
