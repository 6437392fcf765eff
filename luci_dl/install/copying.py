"""A part gets its bytes from a copy on this machine, through the same checks as those that come from a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luci_dl.cancel import CancelToken, run_cancellable
from luci_dl.disk import fs
from luci_dl.disk.part import Part
from luci_dl.errors import IntegrityError, StorageError
from luci_dl.events import CopyFound, Copying, Emit, Hashing, Warned
from luci_dl.install.local_copies import LocalCopy
from luci_dl.net.rate_meter import RateMeter
from luci_dl.plan import Lease, Remote, Revoked

BLOCK = 1 << 20
TICK_S = 0.1


class _Unusable(Exception):
    """The copy cannot be read, or not to the end that it had; the message goes on behind its path."""


@dataclass(frozen=True)
class Adoption:
    """What is missing of one part, from copies. `tell`: called with each progress, beside `emit`."""

    part: Part
    token: CancelToken
    emit: Emit
    tell: Callable[[Copying], None]

    def take(self, copies: Sequence[LocalCopy]) -> bool:
        """Fill the part from the first of the copies that is right, and verify it.

        Returns: False when there is none; every byte counts as missing then, if one of them gave wrong ones.
        Raises: Interrupted; StorageError, for trouble with the part.
        """
        for copy in copies:
            before = 0 if self.part.cloned else self.part.received
            self.emit(CopyFound(self.part.artifact.name, str(copy.path), copy.where, copy.size))
            try:
                self._fill(copy)
                self.part.verify(self.token)
            except (_Unusable, IntegrityError) as error:
                what = "has the wrong bytes" if isinstance(error, IntegrityError) else str(error)
                self.emit(Warned(f"{copy.path} {what}, so it is not taken for {self.part.artifact.name}"))
                if self.part.received != before:
                    self.part.forget()
            else:
                self.part.origin = copy.path.as_uri()
                return True
        return False

    def _fill(self, copy: LocalCopy) -> None:
        speed = RateMeter()

        def tick() -> None:
            self.part.check()
            done, total = self.part.received, self.part.size
            progress = Copying(self.part.artifact.name, done, total, speed.add(time.monotonic(), done))
            self.emit(progress)
            self.tell(progress)

        if not self.part.cloned:
            run_cancellable(lambda: self._copy(copy), self.token, tick)
            tick()
        self._wait_for_the_hash()

    def _copy(self, copy: LocalCopy) -> None:
        """Beside the calling thread. When the part is closed, this has no right to write any more."""
        source = _opened(copy)
        remote = Remote(copy.path.as_uri(), copy.size, None)
        while lease := self.part.claim():
            try:
                self.part.begin(lease, remote, lease.pos)
                self._copy_segment(source, lease)
            except Revoked:
                return
            finally:
                self.part.revoke(lease)

    def _copy_segment(self, source: fs.File, lease: Lease) -> None:
        while lease.pos != lease.end:
            self.token.check()
            data = _read(source, lease.pos)
            if not data:
                raise _Unusable("is shorter by now")
            self.part.write(lease, data)

    def _wait_for_the_hash(self) -> None:
        """Of a clone, that is all there is to wait for; else it is never far behind."""
        name, size = self.part.artifact.name, self.part.size or 0
        while self.part.cloned and self.part.frontier < size:
            self.part.check()
            self.emit(Hashing(name, self.part.frontier, size))
            self.token.wait(TICK_S)
            self.token.check()


def source_of(copies: Sequence[LocalCopy]) -> fs.File | None:
    """The first copy, opened, if it can be."""
    try:
        return _opened(copies[0]) if copies else None
    except _Unusable:
        return None


def _opened(copy: LocalCopy) -> fs.File:
    try:
        source = fs.open_to_read(copy.path)
    except StorageError as error:
        raise _Unusable(f"cannot be read ({error.reason})") from error
    if source.size != copy.size:
        raise _Unusable("has another size by now")
    return source


def _read(source: fs.File, offset: int) -> bytes:
    try:
        return fs.read_at(source, BLOCK, offset)
    except StorageError as error:
        raise _Unusable(f"cannot be read ({error.reason})") from error
