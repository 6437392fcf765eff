"""Facts that the engine tells, as frozen data. The engine hands them to one callable and never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Emit = Callable[["Event"], None]


@dataclass(frozen=True)
class Event:
    """A fact. `name` of a file is always its target's path below the models folder."""


@dataclass(frozen=True)
class Planned(Event):
    """What this run will install; `total` bytes, a lower bound when `at_least`."""

    models: tuple[str, ...]
    total: int
    at_least: bool


@dataclass(frozen=True)
class FallbackFolderUsed(Event):
    """The model `reference` goes to `folder`, for the `reason` why the first folder cannot hold it."""

    reference: str
    folder: str
    reason: str


@dataclass(frozen=True)
class Waiting(Event):
    """Another process holds the lock of `name`. Told at most once a second; fields are None when it has not said."""

    name: str
    pid: int | None
    host: str | None
    since: str | None
    command: str | None
    done: int | None
    total: int | None
    rate: float | None


@dataclass(frozen=True)
class Started(Event):
    """The fetch of `name` begins at byte `offset`, of which all are verified; `total` is None when not known."""

    name: str
    total: int | None
    offset: int


@dataclass(frozen=True)
class Progress(Event):
    """`done` bytes of `total` are there; `rate` in bytes a second over the last seconds."""

    name: str
    done: int
    total: int | None
    rate: float


@dataclass(frozen=True)
class Copying(Progress):
    """The same, of bytes that come from a copy on this machine."""


@dataclass(frozen=True)
class CopyFound(Event):
    """The file of `size` bytes at `path` may be `name`, and is taken if it is right; people call the place `where`."""

    name: str
    path: str
    where: str
    size: int


@dataclass(frozen=True)
class Hashing(Event):
    """A file that is there already, or a kept part, is read and hashed."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class Retrying(Event):
    """An attempt failed for `reason`; the next one starts in `delay` seconds (try `attempt` of `attempts`)."""

    name: str
    reason: str
    delay: float
    attempt: int
    attempts: int


@dataclass(frozen=True)
class Requested(Event):
    """A request went out, and what came of it. Told only where each request is asked for.

    Attributes:
        url: without credentials and query.
        asked: the bytes that were asked for, like "bytes=0-1023"; empty for all.
        masked: names of the headers that were sent, and whose values nobody is to see.
        status: None when no answer came, for `reason`.
        seconds: until the answer began.
    """

    method: str
    url: str
    asked: str
    masked: tuple[str, ...]
    status: int | None
    seconds: float
    reason: str


@dataclass(frozen=True)
class Warned(Event):
    """Something the user should know; nothing failed."""

    message: str


@dataclass(frozen=True)
class Installed(Event):
    """The model `reference` stands at `paths` (the first is the one to load).

    `how`: "downloaded", "copied" (all that was missing, from copies on this machine), "already" (was there and right),
    "adopted" (was there, right, without a receipt), or "newer" (was there and right, but the reference names other
    bytes by now). `fetched` bytes came over the network.
    """

    reference: str
    paths: tuple[str, ...]
    size: int
    how: str
    fetched: int
    seconds: float


@dataclass(frozen=True)
class Deleted(Event):
    """The part of `name` is gone."""

    name: str


@dataclass(frozen=True)
class NotDeleted(Event):
    """The part of `name` could not be deleted, and why; it still lies at `path`."""

    name: str
    reason: str
    path: str


@dataclass(frozen=True)
class Kept(Event):
    """The part of `name` is kept, `done` bytes of it proved."""

    name: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Stopped(Event):
    """The run was interrupted, by signal `signum` if there was one; `what` it was doing."""

    signum: int | None
    what: str = "Download"


@dataclass(frozen=True)
class Failed(Event):
    """`reference` could not be installed (or, when empty, the run could not start)."""

    reference: str
    message: str
    hint: str
    exit_code: int


@dataclass(frozen=True)
class Summary(Event):
    """How a run over several models ended. `failed` pairs each reference with the reason in one sentence."""

    installed: tuple[str, ...]
    interrupted: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    not_started: tuple[str, ...]


@dataclass(frozen=True)
class WouldInstall(Event):
    """What an install would do about one file of `reference`. Told by a dry run.

    Attributes:
        path: of the target.
        action: "already", "adopt" or "newer" (as `Installed` has it); "complete" (a crash cut its install off after the
            last check); "wait" (for another process); "copy", "resume" or "download".
        urls: where it would come from, best first.
        size: bytes; None where it is not known.
        proof: "sha256", "lfs pointer", "git blob" or "none"; digest: the hex digits of that.
        digest_origin: where the digest is from: "catalog", "hub", "registry", "user", or "server" (asked just
            now); empty without a digest.
        done: bytes of a kept part, before they are proved.
        copy, where: the path of the copy that would be tried first, and what people call the place; else empty.
        waits_for: who holds the lock; empty when nobody does.
    """

    reference: str
    name: str
    path: str
    action: str
    urls: tuple[str, ...]
    size: int | None
    proof: str
    digest: str
    digest_origin: str
    done: int
    copy: str
    where: str
    waits_for: str


@dataclass(frozen=True)
class Room(Event):
    """What all that is missing needs on the file system of `folder`, and what is free there, in bytes.

    `at_least`: the size of some files is not known. `enough`: with `min_free` bytes staying free.
    """

    folder: str
    needed: int
    at_least: bool
    free: int
    min_free: int
    enough: bool


@dataclass(frozen=True)
class Cleaned(Event):
    """`clean` removed (or, in a dry run, would remove) the file at `path`, `freed` bytes on disk.

    `kind`: "part", "journal", "receipt", "lock" or "commit record".
    """

    path: str
    kind: str
    freed: int
    dry_run: bool


@dataclass(frozen=True)
class RolledForward(Event):
    """An install that a crash cut off after its last check is completed now: `name` is installed."""

    name: str


Verdict = Literal["ok", "newer", "changed", "truncated", "missing", "unreadable", "unmanaged"]


@dataclass(frozen=True)
class Verified(Event):
    """`verify` looked at the file at `path`, and at all of its bytes where there was a doubt.

    Attributes:
        reference: of its model; empty when luci did not install it.
        state: "ok"; "newer" (as it was installed, but the catalog names other bytes by now); "changed"; "truncated";
            "missing"; "unreadable"; "unmanaged" (luci did not install it).
        expected, found: what was, in words; empty where the state says all.
    """

    name: str
    path: str
    reference: str
    state: Verdict
    expected: str = ""
    found: str = ""

    @property
    def wrong(self) -> bool:
        """Whether luci installed it, and it is not as it was then."""
        return self.state not in ("ok", "newer", "unmanaged")


@dataclass(frozen=True)
class VerifiedAll(Event):
    """`verify` is through: so many installed files, so many of them wrong."""

    files: int
    wrong: int
    unmanaged: int


@dataclass(frozen=True)
class Removed(Event):
    """The model `reference` is uninstalled (or would be): the files at `paths` are gone, `freed` bytes on disk."""

    reference: str
    paths: tuple[str, ...]
    freed: int
    dry_run: bool


@dataclass(frozen=True)
class LeftAlone(Event):
    """`clean` or `remove` did not touch the file at `path`, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class CleanSummary(Event):
    """`clean` is through: files removed (or to be removed, in a dry run), bytes freed on disk, files left alone."""

    removed: int
    freed: int
    left_alone: int
    dry_run: bool


@dataclass(frozen=True)
class Finding(Event):
    """`doctor` looked at `topic`, and found it to be "ok", or a "warning" or an "error" (then with its exit code)."""

    topic: str
    level: str
    message: str
    hint: str
    exit_code: int
