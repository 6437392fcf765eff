"""A `plan.Sink` in memory, for one connection at a time: the rules of `disk/` without a disk."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from luci_dl.errors import IntegrityError
from luci_dl.plan import Lease, Remote, Revoked, Segment


class MemorySink:
    """Holds the bytes of one file, beginning with those that are `there` already.

    Attributes:
        data: every byte so far.
        remotes: what each response said about the file.
        restarts: how often all bytes were discarded.
    """

    def __init__(
        self,
        size: int | None = None,
        there: bytes = b"",
        provable: bool = True,
        validators: Mapping[str, str] | None = None,
    ) -> None:
        self.data = bytearray(there)
        self.remotes: list[Remote] = []
        self.restarts = 0
        self._promised = Remote("", size, None)
        self._known = self._promised
        self._provable = provable
        self._validators = dict(validators or {})
        self._lease: Lease | None = None
        self._lock = threading.Lock()
        self.end_is_certain = True

    @property
    def size(self) -> int | None:
        return self._known.size

    @property
    def frontier(self) -> int:
        return len(self.data)

    @property
    def received(self) -> int:
        return len(self.data)

    @property
    def provable(self) -> bool:
        return self._provable or self._known.sha256 is not None

    @property
    def leased(self) -> bool:
        """Whether a worker has the right to write."""
        return self._lease is not None

    def validator(self, url: str) -> str | None:
        return self._validators.get(url)

    def begin(self, lease: Lease, remote: Remote, offset: int) -> None:
        if lease.revoked:
            raise Revoked
        self.remotes.append(remote)
        mine = self._validators.get(remote.url)
        other = _differ(self._known.size, remote.size) or (not self.provable and _differ(mine, remote.validator))
        if self.data and other and not self.provable and self.restarts:
            raise IntegrityError("the file changed on the server")
        if (self.data and other) or offset != len(self.data):
            self.revoke(lease)
            self.data.clear()
            self.restarts += 1
            self._known, self._validators = self._promised, {}
        self._known = replace(self._known, size=self._known.size or remote.size, sha256=remote.sha256)
        if remote.validator:
            self._validators[remote.url] = remote.validator
        lease.end = self._known.size

    def claim(self, piece: int | None = None, within: int | None = None) -> Lease | None:
        with self._lock:
            if self._lease or len(self.data) == self.size:
                return None
            self._lease = Lease(Segment(len(self.data), self.size))
            return self._lease

    @property
    def has_gap(self) -> bool:
        return False

    def shorten(self, lease: Lease, end: int) -> bool:
        return False

    def extend(self, lease: Lease) -> bool:
        return False

    def buffer(self, lease: Lease) -> memoryview:
        return memoryview(bytearray(1 << 20))

    def write(self, lease: Lease, data: bytes | memoryview) -> int:
        with lease.lock:
            if lease.revoked:
                raise Revoked
            if lease.end is not None and lease.pos + len(data) > lease.end:
                raise IntegrityError("the server sends more than the file may have")
            assert lease.pos == len(self.data), "a range has one writer"
            self.data += data
            lease.pos += len(data)
            return len(data)

    def end_of_file(self, lease: Lease, certain: bool) -> None:
        self.end_is_certain = certain
        self._known = replace(self._known, size=self._known.size or lease.pos)

    def revoke(self, lease: Lease) -> None:
        with lease.lock, self._lock:
            lease.revoked = True
            if self._lease is lease:
                self._lease = None


def _differ(known: object, said: object) -> bool:
    return None not in (known, said) and known != said
