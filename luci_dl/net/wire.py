"""The socket below a response: reads what is there at once, and measures how long nothing is."""

from __future__ import annotations

import io
import os
import select
import socket
import ssl
import time
from contextlib import suppress
from errno import ETIMEDOUT
from functools import partial
from typing import Any

RECORD_BYTES = 1 << 14
"""What a record of TLS holds at most."""
LARGEST_WAIT = 256 << 10
"""Bytes that are waited for at a time: they fit into the buffers of any connection."""
_NOTHING_THERE = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire(io.RawIOBase):
    """A raw stream over a socket, plain or with TLS. The socket does not block until the stream is closed.

    Attributes:
        timeout: seconds that a read waits for its first byte.
        waited: seconds that reads have waited because no byte was there.
    """

    def __init__(self, stream: io.RawIOBase, sock: Any) -> None:
        """`stream` keeps `sock` open."""
        self.timeout: float | None = sock.gettimeout()
        self.waited = 0.0
        self._stream = stream
        self._sock = sock
        # a record of TLS takes fewer steps through `read`
        self._receive = partial(sock.read, RECORD_BYTES) if hasattr(sock, "read") else sock.recv_into
        self._blocking = self.timeout
        self._failure: OSError | None = None
        self._wake_at = 1  # bytes that end a wait
        self._poll = select.poll()
        self._poll.register(sock)
        sock.settimeout(0)

    def readable(self) -> bool:
        return True

    def readinto(self, memory: Any) -> int:
        return self.fill(memory, 0, 0)

    def fill(self, memory: memoryview, count: int, seconds: float) -> int:
        """Fill `memory` from byte `count` on. Waits for byte 0, and then only `seconds` for others.

        Returns: how many bytes are in it, the first `count` included; no more than those when the connection has ended.
        Raises: OSError, once all that came before was returned.
        """
        receive, size, deadline = self._receive, len(memory), time.monotonic() + seconds
        while not self._failure:
            try:
                while count < size and (received := receive(memory[count:])):  # with TLS, one record at a time
                    count += received
                break
            except _NOTHING_THERE as reason:
                if (left_s := deadline - time.monotonic()) > 0:
                    self._wait(reason, size - count, left_s)
                elif count:
                    break
                elif self._wait(reason, 1, self.timeout):
                    deadline = time.monotonic() + seconds
                else:
                    self._failure = TimeoutError(ETIMEDOUT, os.strerror(ETIMEDOUT))
            except OSError as error:
                self._failure = error
        if self._failure and not count:
            raise self._failure
        return count

    def _wait(self, reason: Exception, size: int, seconds: float | None) -> bool:
        """Wait for `size` bytes or nearly so many, at most that long, without a limit if None. Returns: whether it did.

        To wake for every packet would take more time than to read it. TLS may hold a part of a record, so fewer bytes
        than were promised may still be to come.
        """
        began, wake_at = time.monotonic(), max(1, min(size, LARGEST_WAIT) - 2 * RECORD_BYTES)
        self._set_wake_at(wake_at)
        self._poll.modify(self._sock, select.POLLOUT if isinstance(reason, ssl.SSLWantWriteError) else select.POLLIN)
        ready = self._poll.poll(None if seconds is None else seconds * 1000)
        self.waited += time.monotonic() - began
        return bool(ready)

    def _set_wake_at(self, size: int) -> None:
        if size != self._wake_at:
            self._wake_at = size
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def shut(self) -> None:
        """Wake a blocked read at once, from any thread: what came before may follow, then the end.

        The methods of the TLS classes would go on to read the bytes below as those of the body, or are missing.
        """
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    @property
    def _socket(self) -> socket.socket:
        """The one below all layers of TLS."""
        sock = self._sock
        while not isinstance(sock, socket.socket):
            sock = sock.socket
        return sock

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):  # it may be closed already
                self._sock.settimeout(self._blocking)
                self._set_wake_at(1)
            self._stream.close()
        super().close()
