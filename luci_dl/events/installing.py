"""Events of an install and of a dry run."""

from __future__ import annotations

from luci_dl.events.base import Event, FileProgress, Problem, Result
from luci_dl.frozen import frozen


@frozen
class Planned(Event):
    """This run will install `models`: `total` bytes, a lower bound if `at_least`."""

    models: tuple[str, ...]
    total: int
    at_least: bool


@frozen
class FallbackFolderUsed(Event):
    """The model `reference` goes to the backup `folder`; `reason` says why the first one cannot hold it."""

    reference: str
    folder: str
    reason: str


@frozen
class Waiting(FileProgress):
    """Another process holds the lock on `name`. Sent at most once a second.

    The other fields are what that process says in the lock files: its progress is that of all files which both
    processes want. They are null where it does not say.
    """

    pid: int | None
    host: str | None
    since: str | None
    command: str | None
    done: int | None
    total: int | None
    rate: float | None


@frozen
class Started(Event):
    """The download of `name` begins at byte `offset`; all bytes before that are verified."""

    name: str
    total: int | None
    offset: int


@frozen
class Serving(Event):
    """`name` comes from `host` from now on. Sent where a server on the LAN is asked first.

    `reason`: why no longer from the one before; empty for the first.
    """

    name: str
    host: str
    reason: str


@frozen
class Swarming(Event):
    """`name` comes from other hosts that fetch it, too, and from `host`, which names them."""

    name: str
    host: str


@frozen
class Sharing(Event):
    """The installed files `names` are sent to `hosts` other hosts that still fetch them, for `seconds` at most."""

    names: tuple[str, ...]
    hosts: int
    seconds: float


@frozen
class SmallFiles(Event):
    """The small files `names` of `reference`, `total` bytes in all, are fetched side by side from now on.

    Sent if there are many. Each has its own events, too; only the output for people shows them as one.
    """

    reference: str
    names: tuple[str, ...]
    total: int


@frozen
class Progress(FileProgress):
    """`done` of `total` bytes are there; `rate` is bytes per second over the last few seconds."""

    done: int
    total: int | None
    rate: float


@frozen
class Copying(Progress):
    """The same, for bytes that are copied from a file on this machine."""


@frozen
class Uploading(Progress):
    """The same, for bytes that are sent to a bucket."""


@frozen
class CopyFound(Event):
    """The file of `size` bytes at `path` may be a copy of `name`, and is used if its digest is right.

    `location` names the place for people, like "Ollama's models".
    """

    name: str
    path: str
    location: str
    size: int


@frozen
class Hashing(FileProgress):
    """A file that is there already, or a kept partial file, is being read and hashed."""

    done: int
    total: int


@frozen
class Retrying(Event):
    """An attempt failed for `reason`; number `attempt` of at most `max_attempts` starts in `delay` seconds."""

    name: str
    reason: str
    delay: float
    attempt: int
    max_attempts: int


@frozen
class Requested(Event):
    """A request was sent, and its outcome. Only with `--verbose`.

    `url` has no credentials, and a short hash in place of the query. `range` is the range asked for, like
    "bytes=0-1023"; empty for the whole. `masked_headers` names the headers whose values are secret. `status` is null
    if no response came, and `reason` says why. `seconds` is the time until the response began.
    """

    method: str
    url: str
    range: str
    masked_headers: tuple[str, ...]
    status: int | None
    seconds: float
    reason: str


@frozen
class Chosen(Event):
    """`reference` stands for `chosen`, the best that fits this machine: `verdict` says where, `numbers` why."""

    reference: str
    chosen: str
    size: int
    verdict: str
    numbers: str


@frozen
class Warned(Event):
    """Something that the user should know; nothing failed."""

    message: str


@frozen
class Installed(Event):
    """The model `reference` is installed at `paths`; the first is the file to load.

    `outcome`: "downloaded"; "copied" (everything that was missing, from copies on this machine); "already" (it was
    there and right); "renewed" (it was, and its small files, like a template, were fetched); "adopted" (it was there
    and right, without a receipt); "newer" (it was there and right, but the reference now names other bytes);
    "elsewhere" (it was there and right, but came from another address, and no digest shows whether the reference names
    the same bytes). `fetched` bytes came over the network.
    """

    reference: str
    paths: tuple[str, ...]
    size: int
    outcome: str
    fetched: int
    seconds: float


@frozen
class Compared(Event):
    """`upgrade` compared the model `reference`, in `folder`, with what its reference names now.

    `state`: "current"; "outdated" (of the new version, `fetch` bytes are not there yet; null if unknown); "gone";
    "unknown"; "pinned" (it means the same bytes for ever). `reason`: why it is gone, unknown or pinned; else empty.
    """

    reference: str
    folder: str
    state: str
    reason: str
    fetch: int | None


@frozen
class Superseded(Event):
    """An upgrade removed (or would remove) the file at `path`: the new version of `reference` does not have it."""

    reference: str
    path: str
    dry_run: bool


@frozen
class Deleted(Event):
    """The partial file of `name` was deleted. The luci `command` starts again."""

    name: str
    command: str = "install"


@frozen
class NotDeleted(Problem):
    """The partial file of `name` could not be deleted, for `reason`; it is still at `path`."""

    name: str
    reason: str
    path: str


@frozen
class Kept(Event):
    """The partial file of `name` is kept; `done` bytes of it are verified. The luci `command` resumes it."""

    name: str
    done: int
    total: int | None
    command: str = "install"


@frozen
class Stopped(Problem):
    """The run was interrupted, by signal `signum` if it was one; `operation` is what it was doing, like "Download"."""

    signum: int | None
    operation: str = "Download"


@frozen
class Failed(Problem):
    """`reference` could not be installed; if it is empty, the whole command failed. `hint` says what to do."""

    reference: str
    message: str
    hint: str
    exit_code: int


@frozen
class Summary(Event):
    """How a run over several models ended. `failed` pairs each reference with the reason in one sentence."""

    installed: tuple[str, ...]
    interrupted: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    not_started: tuple[str, ...]


@frozen
class WouldInstall(Result):
    """What an install would do about one file of `reference`. Sent by a dry run.

    `action`: "already", "adopt", "newer" or "elsewhere" (see `outcome` of `installed`); "complete" (finish an install
    that a crash interrupted after its last check); "wait" (for `lock_holder`, who has the lock); "copy" (from
    `copy_path`, in `copy_location`); "resume" (`done` bytes of a partial file are kept); "download" (from `urls`, the
    best first).

    `proof`: what `digest` is: "sha256", "lfs pointer", "git blob" or "none". `digest_origin`: where it comes from:
    "catalog", "hub", "registry", "bucket", "user", or "server" (asked just now). Texts that do not apply are empty.
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
    copy_path: str
    copy_location: str
    lock_holder: str


@frozen
class DiskSpace(Result):
    """The bytes that everything missing needs on the file system of `folder`, and the bytes that are free there.

    `at_least`: some sizes are unknown. `enough`: it fits, with `min_free` bytes to spare, or `free` is unknown: null.
    """

    folder: str
    needed: int
    at_least: bool
    free: int | None
    min_free: int
    enough: bool
