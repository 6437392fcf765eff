"""The file is another one, or its version is told otherwise."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tests.servers.faults.base import Fault, headers
from tests.servers.honest import File


def changed(data: bytes) -> Fault:
    """Another version of the file, with its own ETag."""
    return Fault(on_file=lambda file: File.of(data))


def flipped(at: int) -> Fault:
    """One wrong byte at offset `at` of the file; ETag and length as if nothing were."""
    return Fault(on_file=lambda file: replace(file, data=_flip(file.data, at)))


def longer(by: int) -> Fault:
    """The file has `by` bytes more, and says so in its Content-Length; the ETag is the old one."""
    return Fault(on_file=lambda file: replace(file, data=file.data + bytes(by)))


def shorter(by: int) -> Fault:
    """The file lacks its last `by` bytes, and says so in its Content-Length; the ETag is the old one."""
    return Fault(on_file=lambda file: replace(file, data=file.data[: len(file.data) - by]))


def no_etag() -> Fault:
    return Fault(on_file=lambda file: replace(file, etag=None))


def weak_etag() -> Fault:
    return Fault(on_file=lambda file: replace(file, etag=f"W/{file.etag}"))


def only_modified() -> Fault:
    """No ETag, only a date."""
    return no_etag() + headers(Last_Modified="Wed, 21 Oct 2015 07:28:00 GMT")


def etag_per_edge(edges: int = 0) -> Fault:
    """Each of the `edges` of the server has an ETag of its own, and they take turns; 0: a new one each time."""
    numbers = itertools.cycle(range(edges)) if edges else itertools.count()
    return Fault(on_file=lambda file: replace(file, etag=f'"edge-{next(numbers)}"'))


def etag_now_and_then() -> Fault:
    """Every other answer has a weak ETag."""
    weak = itertools.cycle([False, True])
    return Fault(on_file=lambda file: replace(file, etag=f"W/{file.etag}" if next(weak) else file.etag))


def _flip(data: bytes, at: int) -> bytes:
    at %= len(data)  # another version may be shorter
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
