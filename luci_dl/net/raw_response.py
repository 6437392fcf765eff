"""The response below urllib3, with two corrections: `read_head` reads its head, and reading its body copies nothing."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import DEFAULT_BUFFER_SIZE, BufferedReader, BytesIO
from typing import Any

from luci_dl.net.head import read_head
from luci_dl.net.wire import Wire

MAX_SKIPPED_BYTES = 1 << 16
MAX_SKIP_S = 0.5
"""What is left of a body is read to save the connection, if it is no longer than this and takes no longer."""
_WITHOUT_BODY = {204, 205, 304}


class RawResponse(HTTPResponse):
    """A response whose head is complete and clear. Interim (1xx) responses are skipped."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._wire = Wire(self.fp.detach(), sock)
        self.fp = BufferedReader(self._wire)
        self._may_be_buffered = True  # the reader may hold bytes that came with the head, or with the last small read
        self._ended = False
        self._waited_before = 0.0

    def begin(self) -> None:
        """Raises: RemoteDisconnected, when the connection was lost in the head; HTTPException, when it is not HTTP."""
        reader = self.fp
        self.fp = BytesIO(read_head(reader))  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            self.fp = reader
        self._waited_before = self._wire.waited
        if self.status in _WITHOUT_BODY:
            self.length, self.chunked, self.will_close = 0, False, True  # some servers send a body nevertheless

    def wait_at_most(self, seconds: float) -> None:
        """Limit the time that a read waits for its first byte."""
        self._wire.timeout = seconds

    @property
    def waited(self) -> float:
        """Seconds that reading the body has waited because no byte was there."""
        return self._wire.waited - self._waited_before

    def abort(self) -> None:
        """Wake a blocked read, from any thread. It returns what came before, or the end."""
        if not self._wire.closed:
            self._wire.shut()

    def read_some(self, memory: memoryview, seconds: float = 0) -> int:
        """Read into `memory` the next bytes of the body: the first as soon as they arrive, and others for `seconds`.

        Returns: how many; 0 at the end.
        """
        if not self._has_length:
            data = self.read1(len(memory))
            memory[: len(data)] = data
            self._ended = self.chunked and not data
            return len(data)
        if self.fp is None or not self.length:
            self.close()
            return 0
        memory, count = memory[: self.length], 0
        if self._may_be_buffered:
            self._may_be_buffered = len(memory) < DEFAULT_BUFFER_SIZE
            count = self.fp.readinto1(memory[:DEFAULT_BUFFER_SIZE])
        count = self._wire.fill(memory, count, seconds)
        self.length -= count
        if not (count and self.length):
            self.close()
        return count

    def read_all(self, at_most: int) -> bytes:
        """The body, or its first `at_most` bytes. Raises: IncompleteRead, when it breaks off."""
        body, memory = bytearray(), memoryview(bytearray(MAX_SKIPPED_BYTES))
        while left := at_most - len(body):
            count = self.read_some(memory[:left])
            body += memory[:count]
            if not count:
                break
        if left and self.length:
            raise IncompleteRead(bytes(body), self.length)
        return bytes(body)

    def skip_rest(self) -> None:
        """Read what is left of the body if that is little and comes soon, so that the connection can be reused."""
        if self.is_complete or self.will_close or (self.length or 0) > MAX_SKIPPED_BYTES:
            return
        self.read_within(memoryview(bytearray(MAX_SKIPPED_BYTES)), MAX_SKIP_S)

    def read_within(self, memory: memoryview, seconds: float) -> int:
        """Read what arrives of the body within that time; an error counts as its end. Returns: how many bytes."""
        count, deadline = 0, time.monotonic() + seconds
        with suppress(OSError, HTTPException, ValueError):
            while count < len(memory) and (left_s := deadline - time.monotonic()) > 0:
                self.wait_at_most(left_s)  # urllib3 sets it again for each request
                received = self.read_some(memory[count:])
                if not received:
                    break
                count += received
        return count

    @property
    def is_complete(self) -> bool:
        """Whether the body was read to its end, so that the connection is ready for the next request."""
        return self._ended or self.length == 0

    @property
    def is_delimited(self) -> bool:
        """Whether a complete body can be distinguished from a lost connection."""
        return bool(self.chunked) or self.length is not None

    @property
    def _has_length(self) -> bool:
        return not self.chunked and self.length is not None


class KeepsRawResponse:
    """A connection that remembers its last response.

    Attributes:
        round_trip: seconds that the TCP connection to the server took; None when a proxy hides that.
    """

    raw_response: RawResponse | None = None
    round_trip: float | None = None

    def response_class(self, *args: Any, **more: Any) -> RawResponse:
        self.raw_response = RawResponse(*args, **more)
        return self.raw_response
