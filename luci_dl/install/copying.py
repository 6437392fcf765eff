"""Fills a part from a copy on this machine, with the same checks as for bytes from a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.disk.part import Part
from luci_dl.errors import IntegrityError, StorageError
from luci_dl.events import CopyFound, Copying, Emit, Hashing, Warned
from luci_dl.install.context import InstallContext
from luci_dl.install.local_copies import LocalCopy
from luci_dl.net.rate_meter import RateMeter
from luci_dl.plan import Lease, Remote, Revoked

BLOCK = 1 << 20
TICK_S = 0.1


class Unusable(Exception):
    """The copy cannot be read, or has changed. The message continues a sentence that begins with its path."""


def copy_into(
    part: Part, copies: Sequence[LocalCopy], context: InstallContext, report: Callable[[Copying], None]
) -> bool:
    """Fill the part from the first copy that is right, and verify it. `report` gets all progress, beside the events.

    Returns: False if no copy is right; wrong bytes of one are forgotten then. Raises: Interrupted; StorageError, for a
        problem with the part.
    """
    for copy in copies:
        before = 0 if part.cloned else part.received
        context.emit(CopyFound(part.artifact.name, str(copy.path), copy.where, copy.size))
        try:
            fill_from(part, copy, context.token, context.emit, report)
            part.verify(context.token)
        except (Unusable, IntegrityError) as error:
            what = "has the wrong bytes" if isinstance(error, IntegrityError) else str(error)
            context.emit(Warned(f"{copy.path} {what}, so it is not used for {part.artifact.name}"))
            if part.received != before:
                part.forget()
        else:
            part.origin = copy.path.as_uri()
            return True
    return False


def fill_from(part: Part, copy: LocalCopy, token: CancelToken, emit: Emit, report: Callable[[Copying], None]) -> None:
    """Fill the part from the copy. Raises: Unusable; StorageError; Interrupted."""
    meter = RateMeter()

    def tick() -> None:
        part.check()
        done = part.received
        progress = Copying(part.artifact.name, done, part.size, meter.add(time.monotonic(), done))
        emit(progress)
        report(progress)

    if part.cloned:
        _wait_for_the_hash(part, token, emit)
    else:
        run_cancellable(lambda: _copy(part, copy, token), token, tick)
        tick()


def _copy(part: Part, copy: LocalCopy, token: CancelToken) -> None:
    """Runs beside the calling thread. It cannot write once the part is closed."""
    source = _opened(copy)
    remote = Remote(copy.path.as_uri(), copy.size, None)
    while lease := part.claim():
        try:
            part.begin(lease, remote, lease.pos)
            _copy_segment(part, source, lease, token)
        except Revoked:
            return
        finally:
            part.revoke(lease)


def _copy_segment(part: Part, source: fs.File, lease: Lease, token: CancelToken) -> None:
    while lease.pos != lease.end:
        token.check()
        try:
            data = fs.read_at(source, BLOCK, lease.pos)
        except StorageError as error:
            raise Unusable(f"cannot be read ({error.reason})") from error
        if not data:
            raise Unusable("was truncated")
        part.write(lease, data)


def _wait_for_the_hash(part: Part, token: CancelToken, emit: Emit) -> None:
    """A clone has all its bytes at once, so nothing but the hash takes time."""
    size = part.size or 0
    while part.frontier < size:
        part.check()
        emit(Hashing(part.artifact.name, part.frontier, size))
        token.wait(TICK_S)
        token.check()


def first_opened(copies: Sequence[LocalCopy]) -> fs.File | None:
    """The first copy, opened; None if that is not possible."""
    try:
        return _opened(copies[0]) if copies else None
    except Unusable:
        return None


def _opened(copy: LocalCopy) -> fs.File:
    try:
        source = fs.open_to_read(copy.path)
    except StorageError as error:
        raise Unusable(f"cannot be read ({error.reason})") from error
    if source.size != copy.size:
        raise Unusable("has changed its size")
    return source
