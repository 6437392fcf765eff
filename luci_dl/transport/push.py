"""A model to a bucket: its files, and at last the manifest by which it is installed from there."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.errors import IntegrityError, Interrupted
from luci_dl.events import Emit, Uploading, Warned
from luci_dl.frozen import frozen
from luci_dl.library.installed import InstalledFile, InstalledModel, model_of
from luci_dl.net import objects
from luci_dl.net.rate_meter import RateMeter
from luci_dl.sources.context import ResolveContext
from luci_dl.sources.s3.manifest import FILE_NAME, Entry, Manifest, entry_for
from luci_dl.sources.s3.place import place_of
from luci_dl.sources.s3.resolve import ask_for_manifest
from luci_dl.text import printable

BLOCK = 1 << 20
ABORT_S = 5.0
"""How long an interrupted upload may take to remove its parts from the store."""
_PARTS_STAY = (
    "the store did not answer: parts of the file may stay there, unseen, until a lifecycle rule of the bucket "
    "(AbortIncompleteMultipartUpload) removes them"
)

T = TypeVar("T")


@frozen
class Push:
    """What it takes to push a model.

    Attributes:
        place: the address that it can be installed from afterwards.
        missing: the files that are not there.
        is_current: the manifest that is there says the same already.
    """

    model: InstalledModel
    place: str
    manifest: Manifest
    missing: tuple[tuple[InstalledFile, Entry], ...]
    is_current: bool

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of the files, in the store."""
        return tuple(f"{self.place}/{entry.key}" for entry in self.manifest.files)

    @property
    def size(self) -> int:
        """Bytes of what is missing."""
        return sum(entry.size for _, entry in self.missing)


def plan_push(model: InstalledModel, prefix: str, context: ResolveContext) -> Push:
    """What pushing the model to the place of its name below the prefix needs.

    A file is there if an object of its size has the key, which is made of its digest.

    Raises: IntegrityError, if another model is there; ResolveError; NetworkError; UsageError; Interrupted.
    """
    place = place_of(model.reference, prefix)
    entries = [
        entry_for(known.name, known.size, known.sha256, known.role) for known in (each.receipt for each in model.files)
    ]
    manifest = Manifest(model.reference, tuple(entries), model_of(model).kept)
    there = ask_for_manifest(place, context)
    if there and there.reference != manifest.reference and there.files != manifest.files:
        raise IntegrityError(
            f"{place} is another model, pushed as {printable(there.reference)}", "Choose another prefix, or delete it."
        )

    def is_there(entry: Entry) -> bool:
        return run_cancellable(lambda: objects.size_of(f"{place}/{entry.key}"), context.token) == entry.size

    pairs = zip(model.files, entries, strict=True)
    missing = tuple((file, entry) for file, entry in pairs if not is_there(entry))
    return Push(model, place, manifest, missing, there == manifest)


def push(plan: Push, token: CancelToken, emit: Emit) -> int:
    """Push the model. Until its manifest is replaced, at last, an earlier one there is right.

    Returns: the bytes sent. Raises: IntegrityError, for a file that has changed; ResolveError; NetworkError;
        StorageError; Interrupted.
    """
    for file, entry in plan.missing:
        _send(file, f"{plan.place}/{entry.key}", token, emit)
    if plan.missing or not plan.is_current:
        body = plan.manifest.to_json()
        _interruptible(lambda: objects.put(f"{plan.place}/{FILE_NAME}", iter([body]), len(body)), token, emit)
    return plan.size


def _send(file: InstalledFile, url: str, token: CancelToken, emit: Emit) -> None:
    reading, meter, known = _Reading(file, token), RateMeter(), file.receipt

    def tick() -> None:
        emit(Uploading(known.name, reading.done, known.size, meter.add(time.monotonic(), reading.done)))

    tick()
    _interruptible(lambda: objects.put(url, reading.blocks(), known.size), token, emit, tick)
    tick()


class _Reading:
    """Reads a file in blocks while it is sent, and proves it at the end.

    Attributes:
        done: bytes read so far.
    """

    def __init__(self, file: InstalledFile, token: CancelToken) -> None:
        self.done = 0
        self._file = file
        self._token = token

    def blocks(self) -> Iterator[bytes]:
        """Raises: IntegrityError, before the last block, if the file is not as its receipt says; Interrupted."""
        source, known, running = fs.open_to_read(self._file.path), self._file.receipt, hashlib.sha256()
        while self.done < known.size:
            self._token.check()
            block = bytes(fs.read_at(source, min(BLOCK, known.size - self.done), self.done))
            running.update(block)
            self.done += len(block)
            if not block or (self.done == known.size and running.hexdigest() != known.sha256):
                raise IntegrityError(
                    f"{self._file.path} has changed since luci installed it",
                    f"This checks and repairs it: luci verify --repair {printable(known.reference)}",
                )
            yield block


def _interruptible(work: Callable[[], T], token: CancelToken, emit: Emit, tick: Callable[[], None] | None = None) -> T:
    """Run `work`, which the token ends, too: it gets some time for that. Raises: as `run_cancellable`."""
    ended = threading.Event()

    def run() -> T:
        try:
            return work()
        finally:
            ended.set()

    try:
        return run_cancellable(run, token, tick)
    except Interrupted:
        if not ended.wait(ABORT_S):
            emit(Warned(_PARTS_STAY))
        raise
