"""The bytes of a file to a client, also while the file is still being fetched."""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

from aiohttp import web

from luci_dl.errors import LuciError
from luci_dl.frozen import frozen

PULSE_S = 0.04
"""How often a client that waits for bytes looks for more, in seconds."""
CHUNKS = 256 << 10, 8 << 20
"""Bytes sent by one call, at least and at most."""
CALL_S = 1.0
"""About so long a call takes, so that a slow client is counted as steadily as a fast one; each costs the processor."""
STALLED_S = 600.0
"""A client that takes no such call in this time is given up."""
FIRST_BYTE_S = 8.0
"""A response begins so late at most: hf gives up after 10 s without one."""
IF_RANGE = "if-range"
"""What the header of that name says, in an address."""
_RANGE = re.compile("bytes=([0-9]{0,18})-([0-9]{0,18})")


class Stock(Protocol):
    """A file that can be read, perhaps not all of it yet.

    Attributes:
        attempt: changes when bytes that could be read were wrong.
        error: why no more bytes come; None while they do.
    """

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
        size: bytes of the whole.
        etag: a strong one, with its quotes.
        headers: beside those of the range.
        whole: ranges are answered with the whole file, unless If-Range names the `etag`: a client may have bytes from
            an attempt that was wrong.
    """

    size: int
    etag: str
    headers: Mapping[str, str]
    whole: bool = False

    @property
    def fields(self) -> dict[str, str]:
        """The headers that do not depend on the range. A `Location` is for clients that do not know If-Range."""
        usual = {
            "Content-Type": "application/octet-stream",
            **self.headers,
            "ETag": self.etag,
            "Accept-Ranges": "bytes",
        }
        place = self.headers.get("Location")
        return {**usual, "Location": f"{place}?{IF_RANGE}={quote(self.etag)}"} if place else usual


@frozen
class Span:
    """The bytes from `start` up to, not including, `end`; `partial`: not asked for as the whole."""

    start: int
    end: int
    partial: bool


def head(request: web.Request, answer: Answer) -> web.StreamResponse:
    """The answer to a HEAD, and to a GET before its bytes."""
    span = _span(request, answer)
    if span is None:
        return web.Response(status=416, headers={**answer.fields, "Content-Range": f"bytes */{answer.size}"})
    response = web.StreamResponse(status=206 if span.partial else 200, headers=answer.fields)
    response.content_length = span.end - span.start
    if span.partial:
        response.headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{answer.size}"
    return response


async def send(request: web.Request, answer: Answer, stock: Stock, sent: Callable[[int], None]) -> web.StreamResponse:
    """Answer a GET. Bytes that turn out wrong end the connection before the last of them.

    Args:
        sent: called with the number of bytes that went out.

    Raises: LuciError, when none of the bytes can be sent.
    """
    span, response = _span(request, answer), head(request, answer)
    if span is None:
        return response
    attempt = stock.attempt
    await _first_byte(stock, span)
    await response.prepare(request)
    if attempt != stock.attempt or not await _copy(request, stock, span, sent):
        _cut(request)
    elif span.start < span.end:
        await response.write_eof()
    return response


async def _first_byte(stock: Stock, span: Span) -> None:
    """Wait for it as long as clients do, so that they hear why it cannot come. Raises: LuciError."""
    deadline = time.monotonic() + FIRST_BYTE_S
    while stock.error is None and time.monotonic() < deadline:
        if span.start >= span.end or stock.readable(span.start) > span.start:
            return
        stock.want(span.start)
        await asyncio.sleep(PULSE_S)
    if stock.error:
        raise stock.error


def _span(request: web.Request, answer: Answer) -> Span | None:
    """What the request asks for; None if the file has nothing of it."""
    size, text = answer.size, request.headers.get("Range", "")
    condition = request.headers.get("If-Range", request.query.get(IF_RANGE))
    found = _RANGE.fullmatch(text.replace(" ", ""))
    holds = condition == answer.etag if condition else not answer.whole
    if not found or found.groups() == ("", "") or not holds:
        return Span(0, size, partial=False)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return Span(start, end, partial=True) if start < end else None


async def _copy(request: web.Request, stock: Stock, span: Span, sent: Callable[[int], None]) -> bool:
    """Send the bytes as they come. Returns: False when they cannot be sent to the end."""
    position, attempt, chunk = span.start, stock.attempt, CHUNKS[0]
    file: io.FileIO | None = None
    try:
        while position < span.end:
            end = min(stock.readable(position), span.end, position + chunk)
            if stock.attempt != attempt or (stock.error and (file is None or end <= position)):
                return False
            if end <= position:
                stock.want(position)
                await asyncio.sleep(PULSE_S)
                continue
            if file is None:
                file = await asyncio.to_thread(_opened, stock)
                if file is None:
                    await asyncio.sleep(PULSE_S)
                    continue
            began = time.monotonic()
            await _send_file(request, file, position, end - position)
            chunk = min(chunk * 2, CHUNKS[1]) if time.monotonic() - began < CALL_S else max(chunk // 2, CHUNKS[0])
            sent(end - position)
            position = end
        return stock.attempt == attempt
    except (OSError, TimeoutError):
        return False
    finally:
        if file:
            file.close()


def _opened(stock: Stock) -> io.FileIO | None:
    """A file that closes itself, even if nobody waits for it any more. Raises: OSError."""
    descriptor = stock.descriptor()
    return None if descriptor is None else io.FileIO(descriptor, "rb")


async def _send_file(request: web.Request, file: io.FileIO, offset: int, count: int) -> None:
    """Raises: ConnectionError, when the client has left."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError
    async with asyncio.timeout(STALLED_S):
        sent = await asyncio.get_running_loop().sendfile(transport, file, offset, count)
    if sent < count:
        raise OSError("the file is shorter than it was")


def _cut(request: web.Request) -> None:
    """End the connection before its time, so that no client takes what it got for the whole."""
    if request.transport:
        request.transport.abort()
