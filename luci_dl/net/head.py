"""The head of an answer, whole or not at all: `http.client` takes what a cut line has left of one for all of it."""

from __future__ import annotations

import select
import socket
from functools import cached_property
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from io import DEFAULT_BUFFER_SIZE
from typing import Any, BinaryIO

MOST_LINES = 1000
"""Lines of the head, those of interim answers counted too, after which a server is not taken seriously any more."""


class WholeHead(HTTPResponse):
    """An answer that begins behind the empty line that ends its head, and behind every interim (1xx) answer."""

    def __init__(self, line: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(line, *args, **more)
        self._line = line
        self._holds = True  # the reader may, of what came together with the head, or was not asked for before
        self._was_read = False

    def begin(self) -> None:
        """Raises: RemoteDisconnected, when the line was cut in the head; HTTPException, for what is not HTTP."""
        reader = self.fp
        self.fp = _Lines(reader)  # type: ignore[assignment]
        try:
            super().begin()
            while 100 <= self.status < 200:  # http.client passes over no interim answer but 100
                self.headers = None  # type: ignore[assignment]
                super().begin()
        finally:
            if self.fp:  # http.client closes it after what is not HTTP
                self.fp = reader

    def read_some(self, memory: memoryview) -> int:
        """Put the next bytes of the body into `memory`, as soon as there are any. Returns: how many; 0 at the end."""
        if not self._has_length:
            data = self.read1(len(memory))
            memory[: len(data)] = data
            self._was_read = self.chunked and not data
            return len(data)
        if self.fp is None or not self.length:
            self.close()
            return 0
        if self._holds:  # asked for more, `readinto1` would wait for the line though something is here already
            memory = memory[:DEFAULT_BUFFER_SIZE]
        self._holds = len(memory) < DEFAULT_BUFFER_SIZE
        count: int = self.fp.readinto1(memory[: self.length])
        self.length -= count
        if not (count and self.length):
            self.close()
        return count

    def comes_more(self, seconds: float) -> bool:
        """Whether more of the body is here within that time. False, too, where only a read could tell."""
        if not self._has_length or not self.length or seconds <= 0:
            return False
        pending = getattr(self._line, "pending", None)  # what TLS has taken from the line already
        if pending and pending():
            return True
        return bool(self._readable.poll(seconds * 1000))

    @cached_property
    def _readable(self) -> select.poll:
        readable = select.poll()
        readable.register(self._line, select.POLLIN)
        return readable

    @property
    def was_read(self) -> bool:
        """Whether the body was read to its end, so that the line is ready for the next answer."""
        return self._was_read or self.length == 0

    @property
    def _has_length(self) -> bool:
        return not self.chunked and self.length is not None


class KeepsHead:
    """A connection that has the head of its last answer at hand, below what urllib3 puts on top of it."""

    head: WholeHead | None = None

    def response_class(self, *args: Any, **more: Any) -> WholeHead:
        self.head = WholeHead(*args, **more)
        return self.head


class _Lines:
    """The lines of a head: as many as a head may have, and each to its end."""

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self._left = MOST_LINES

    def readline(self, limit: int) -> bytes:
        line = self._reader.readline(limit)
        if not line.endswith(b"\n") and len(line) < limit:
            raise RemoteDisconnected("the connection ended within the head of the answer")
        self._left -= 1
        if not self._left:
            raise HTTPException("the head of the answer does not end")
        return line

    def close(self) -> None:
        self._reader.close()
