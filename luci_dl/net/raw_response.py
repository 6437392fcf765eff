"""The response below urllib3, with two corrections: a truncated head is an error, and reading copies nothing.

`http.client` accepts a head that a lost connection cut short, and urllib3 copies every block that it reads.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from functools import cached_property
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from io import DEFAULT_BUFFER_SIZE
from typing import Any, BinaryIO

MAX_SKIPPED_BYTES = 1 << 16
MAX_SKIP_S = 0.5
"""What is left of a body is read to save the connection, if it is no longer than this and takes no longer."""
MAX_HEAD_LINES = 1000
"""Lines of a head, with those of the interim responses before it. A longer one is not valid HTTP."""


class RawResponse(HTTPResponse):
    """A response whose head ended with an empty line. Interim (1xx) responses are skipped."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._sock = sock
        self._may_be_buffered = True  # the reader may hold bytes that came with the head, or with the last small read
        self._ended = False

    def begin(self) -> None:
        """Raises: RemoteDisconnected, when the connection was lost in the head; HTTPException, when it is not HTTP."""
        reader = self.fp
        self.fp = _HeadReader(reader)  # type: ignore[assignment]
        try:
            super().begin()
            while 100 <= self.status < 200:  # http.client itself skips only 100
                self.headers = None  # type: ignore[assignment]
                super().begin()
        finally:
            if self.fp:  # http.client closes it after what is not HTTP
                self.fp = reader

    def read_some(self, memory: memoryview) -> int:
        """Read the next bytes of the body into `memory` as soon as some arrive. Returns: how many; 0 at the end."""
        if not self._has_length:
            data = self.read1(len(memory))
            memory[: len(data)] = data
            self._ended = self.chunked and not data
            return len(data)
        if self.fp is None or not self.length:
            self.close()
            return 0
        if self._may_be_buffered:  # a larger `readinto1` would wait for the network although some bytes are here
            memory = memory[:DEFAULT_BUFFER_SIZE]
        self._may_be_buffered = len(memory) < DEFAULT_BUFFER_SIZE
        count: int = self.fp.readinto1(memory[: self.length])
        self.length -= count
        if not (count and self.length):
            self.close()
        return count

    def skip_rest(self) -> None:
        """Read what is left of the body if that is little and comes soon, so that the connection can be reused."""
        if self.is_complete or self.will_close or (self.length or 0) > MAX_SKIPPED_BYTES:
            return
        self.read_within(memoryview(bytearray(MAX_SKIPPED_BYTES)), MAX_SKIP_S)

    def read_within(self, memory: memoryview, seconds: float) -> int:
        """Read what arrives of the body within that time. Returns: how many bytes; errors end it like the end does."""
        count, deadline = 0, time.monotonic() + seconds
        with suppress(OSError, HTTPException, ValueError):
            while count < len(memory) and (left_s := deadline - time.monotonic()) > 0:
                self._sock.settimeout(left_s)  # urllib3 sets it anew for each request
                received = self.read_some(memory[count:])
                if not received:
                    break
                count += received
        return count

    def has_more_within(self, seconds: float) -> bool:
        """Whether more of the body arrives within that time. False when only a read could tell."""
        if not self._has_length or not self.length or seconds <= 0:
            return False
        pending = getattr(self._sock, "pending", None)  # bytes that TLS has already decrypted
        if pending and pending():
            return True
        return bool(self._poll.poll(seconds * 1000))

    @cached_property
    def _poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return poll

    @property
    def is_complete(self) -> bool:
        """Whether the body was read to its end, so that the connection is ready for the next request."""
        return self._ended or self.length == 0

    @property
    def _has_length(self) -> bool:
        return not self.chunked and self.length is not None


class KeepsRawResponse:
    """A connection that remembers its last response."""

    raw_response: RawResponse | None = None

    def response_class(self, *args: Any, **more: Any) -> RawResponse:
        self.raw_response = RawResponse(*args, **more)
        return self.raw_response


class _HeadReader:
    """Reads complete lines, and no more of them than a head may have."""

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self._lines_left = MAX_HEAD_LINES

    def readline(self, limit: int) -> bytes:
        line = self._reader.readline(limit)
        if not line.endswith(b"\n") and len(line) < limit:
            raise RemoteDisconnected("the connection was lost in the head of the response")
        self._lines_left -= 1
        if not self._lines_left:
            raise HTTPException("the head of the response is too long")
        return line

    def close(self) -> None:
        self._reader.close()
