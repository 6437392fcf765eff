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
from math import inf
from typing import Any

RECORD_BYTES = 1 << 14
"""What a record of TLS holds at most."""
GATHER_S = 0.005
GATHER_BYTES = 1 << 18
"""Bytes that follow others are let gather for that long, or until they are that many: every wake-up costs."""
LOOK_S = 1.0
"""A wait is made of waits no longer than that. One that took longer counts as that: luci was suspended (Ctrl+Z)."""
_NOTHING_THERE = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire(io.RawIOBase):
    """A raw stream over a socket, plain or with TLS. The socket does not block until the stream is closed.

    Attributes:
        timeout: seconds that a read waits for its first byte.
    """

    def __init__(self, stream: io.RawIOBase, sock: Any) -> None:
        """`stream` keeps `sock` open."""
        self.timeout: float | None = sock.gettimeout()
        self._waited = 0.0
        self._waiting_since: float | None = None
        self._stream = stream
        self._sock = sock
        self._lowest = _lowest(sock)
        self._wakes_at = 1
        # a record of TLS takes fewer steps through `read`
        self._receive = partial(sock.read, RECORD_BYTES) if hasattr(sock, "read") else sock.recv_into
        self._blocking = self.timeout
        self._failure: OSError | None = None
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
        receive, size, known, deadline = self._receive, len(memory), count, time.monotonic() + seconds
        while not self._failure:
            try:
                while count < size and (received := receive(memory[count:])):  # with TLS, one record at a time
                    count += received
                break
            except _NOTHING_THERE as reason:
                if not count:
                    self._await_first(reason)
                    deadline = time.monotonic() + seconds
                elif (left := deadline - time.monotonic()) <= 0:
                    break
                elif count > known:
                    known = count
                    self._wait(reason, min(left, GATHER_S), size - count - 2 * RECORD_BYTES)  # OpenSSL may hold one
                else:
                    self._wait(reason, left)
            except OSError as error:
                self._failure = error
        if self._failure and not count:
            raise self._failure
        return count

    def _await_first(self, reason: Exception) -> None:
        if not self._wait(reason, self.timeout):
            self._failure = TimeoutError(ETIMEDOUT, os.strerror(ETIMEDOUT))

    def _wait(self, reason: Exception, seconds: float | None, at_least: int = 1) -> bool:
        """Wait at most that long, without a limit if None, for some bytes. Returns: whether they are there."""
        self._wake_at(min(max(at_least, 1), GATHER_BYTES))
        self._poll.modify(self._sock, select.POLLOUT if isinstance(reason, ssl.SSLWantWriteError) else select.POLLIN)
        left = inf if seconds is None else seconds
        while not (ready := self._look(min(left, LOOK_S))) and left > LOOK_S:
            left -= LOOK_S
        return ready

    def _look(self, seconds: float) -> bool:
        self._waiting_since = time.monotonic()
        ready = self._poll.poll(seconds * 1000)
        waited, self._waiting_since = self.waited, None
        self._waited = waited
        return bool(ready)

    @property
    def waited(self) -> float:
        """Seconds that reads have waited for the network, up to now."""
        since = self._waiting_since
        return self._waited + (min(time.monotonic() - since, LOOK_S) if since else 0.0)

    def _wake_at(self, count: int) -> None:
        """Let the system call a socket readable only when so many bytes are there, or the end."""
        if count != self._wakes_at:
            self._wakes_at = count
            with suppress(OSError):  # it is a matter of speed only
                self._lowest.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def shut(self) -> None:
        """Wake a blocked read at once, from any thread: what came before may follow, then the end.

        The methods of the TLS classes would go on to read the bytes below as those of the body, or are missing.
        """
        with suppress(OSError):
            socket.socket.shutdown(self._lowest, socket.SHUT_RD)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):  # it may be closed already
                self._wake_at(1)
                self._sock.settimeout(self._blocking)
            self._stream.close()
        super().close()


def _lowest(sock: Any) -> socket.socket:
    """The socket below all layers of TLS."""
    while not isinstance(sock, socket.socket):
        sock = sock.socket
    return sock
