"""The bytes of a file to a client, also while the file is still being fetched."""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from luci_dl.errors import LuciError
from luci_dl.frozen import frozen

PULSE_S = 0.04
"""How often a client that waits for bytes looks for more, in seconds."""
CHUNK = 8 << 20
"""Bytes sent by one call."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Stock(Protocol):
    """A file that can be read, perhaps not all of it yet.

    Attributes:
        size: bytes of the whole.
        attempt: changes when bytes that could be read were wrong.
        error: why no more bytes come; None while they do.
    """

    @property
    def size(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def error(self) -> LuciError | None: ...

    def readable(self, offset: int) -> int:
        """The first byte from `offset` on that cannot be read yet."""

    def want(self, offset: int) -> None:
        """Let the byte there come soon."""

    def descriptor(self) -> int | None:
        """Open the file; the caller closes it. None while there is none. Raises: OSError."""


@frozen
class Answer:
    """What to send.

    Attributes:
        etag: a strong one, with its quotes.
        headers: beside those of the range.
        whole: ranges are answered with the whole file, unless If-Range names the `etag`: a client may have bytes from
            an attempt that was wrong.
    """

    stock: Stock
    etag: str
    headers: Mapping[str, str]
    whole: bool = False


@frozen
class Span:
    """The bytes from `start` up to, not including, `end`; `partial`: not asked for as the whole."""

    start: int
    end: int
    partial: bool


async def send(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Answer a GET or HEAD. Bytes that turn out wrong end the connection before the last of them."""
    size = answer.stock.size
    span = _span(request, answer)
    headers = {**answer.headers, "ETag": answer.etag, "Accept-Ranges": "bytes"}
    if span is None:
        return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    response = web.StreamResponse(status=206 if span.partial else 200, headers=headers)
    response.content_type = "application/octet-stream"
    response.content_length = span.end - span.start
    if span.partial:
        response.headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{size}"
    if request.method == "HEAD":
        return response
    await response.prepare(request)
    if not await _copy(request, answer.stock, span):
        _cut(request)
    elif span.start < span.end:
        await response.write_eof()
    return response


def _span(request: web.Request, answer: Answer) -> Span | None:
    """What the request asks for; None if the file has nothing of it."""
    size, text = answer.stock.size, request.headers.get("Range", "")
    condition = request.headers.get("If-Range")
    found = _RANGE.fullmatch(text.replace(" ", ""))
    holds = condition == answer.etag if condition else not answer.whole
    if not found or found.groups() == ("", "") or not holds:
        return Span(0, size, partial=False)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return Span(start, end, partial=True) if start < end else None


async def _copy(request: web.Request, stock: Stock, span: Span) -> bool:
    """Send the bytes as they come. Returns: False when they cannot be sent to the end."""
    position, attempt, file = span.start, stock.attempt, None
    try:
        while position < span.end:
            end = min(stock.readable(position), span.end, position + CHUNK)
            if stock.attempt != attempt or (stock.error and end <= position):
                return False
            if end <= position:
                stock.want(position)
                await asyncio.sleep(PULSE_S)
                continue
            if file is None:
                descriptor = await asyncio.to_thread(stock.descriptor)
                if descriptor is None:
                    await asyncio.sleep(PULSE_S)
                    continue
                file = os.fdopen(descriptor, "rb", buffering=0)
            await _send_file(request, file, position, end - position)
            position = end
        return stock.attempt == attempt
    except (ConnectionError, OSError):
        return False
    finally:
        if file:
            file.close()


async def _send_file(request: web.Request, file: io.FileIO, offset: int, count: int) -> None:
    """Raises: ConnectionError, when the client has left."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    sent = await asyncio.get_running_loop().sendfile(transport, file, offset, count)
    if sent < count:
        raise OSError("the file is shorter than it was")


def _cut(request: web.Request) -> None:
    """End the connection before its time, so that no client takes what it got for the whole."""
    if request.transport:
        request.transport.abort()
