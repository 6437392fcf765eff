"""What an honest server answers to a request for a file, by RFC 9110."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Framing = Literal["length", "chunked", "close"]
Ending = Literal["keep", "fin", "reset", "stall"]


@dataclass(frozen=True)
class Request:
    """One request; the names of `headers` are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class File:
    """A file that the server has; `etag` with its quotes, None for none."""

    data: bytes
    etag: str | None
    content_type: str = "application/octet-stream"
    ranges: bool = True

    @classmethod
    def of(cls, data: bytes) -> File:
        return cls(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')


@dataclass(frozen=True)
class Answer:
    """An answer, and how it is delivered.

    Attributes:
        framing: how the client learns where the body ends.
        ending: what happens after the body's first `stop` bytes (after all of them when `stop` is None).
        rate: body bytes a second; None for as fast as it goes.
        stall_head: wait for the server's `release` before the first byte of the answer.
        endless: after the body come zeros until the client goes away.
        raw: sent in place of everything else.
        head: changes the head before it is sent.
        chunk_line: how the size of a chunk is written.
        tail: sent after the body.
        done: called when the answer has ended, however it did.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""
    framing: Framing = "length"
    stop: int | None = None
    ending: Ending = "keep"
    rate: float | None = None
    stall_head: bool = False
    endless: bool = False
    raw: bytes | None = None
    head: Callable[[bytes], bytes] = lambda head: head
    chunk_line: bytes = b"%x\r\n"
    tail: bytes = b""
    done: tuple[Callable[[], None], ...] = ()


def answer(request: Request, file: File) -> Answer:
    """The honest answer: 200 with the whole, 206 with the range asked, or 416."""
    size = len(file.data)
    headers = {"Content-Type": file.content_type}
    if file.etag is not None:
        headers["ETag"] = file.etag
    if file.ranges:
        headers["Accept-Ranges"] = "bytes"
    asked = _range_of(request, file)
    if asked is None:
        return Answer(200, headers, file.data)
    start, end = asked
    if start >= end:
        return Answer(416, headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Answer(206, headers, memoryview(file.data)[start:end])


def _range_of(request: Request, file: File) -> tuple[int, int] | None:
    """Start and end (exclusive) of the range to send; None for the whole; an empty one cannot be satisfied."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not file.ranges or request.method != "GET" or not found or found[0] == "bytes=-":
        return None
    wanted = request.headers.get("if-range")
    if wanted is not None and (wanted != file.etag or wanted.startswith("W/")):
        return None
    size, (first, last) = len(file.data), found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size
