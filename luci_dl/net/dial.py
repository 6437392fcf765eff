"""Connecting to a host that has several addresses: one that does not respond does not delay the others."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Iterable
from errno import EINPROGRESS, ETIMEDOUT
from itertools import zip_longest
from typing import Any

HEAD_START_S = 0.25
"""How long to wait for one address before the next one is tried as well."""

Option = tuple[int, int, int | bytes]


def dial(host: str, port: int, timeout: float, options: Iterable[Option] = ()) -> socket.socket:
    """The first connection that succeeds, to any address of `host`.

    Args:
        timeout: seconds, for all addresses together; afterwards the timeout of the socket.

    Raises: OSError, when all have failed: the reason of the last one; TimeoutError; UnicodeError, for an invalid name.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    race = _Race(_alternating(found), tuple(options))
    try:
        winner = race.run(time.monotonic() + timeout)
    finally:
        race.close()
    winner.settimeout(timeout)
    return winner


def _alternating(found: list[Any]) -> list[Any]:
    """The system's order, but alternating between IPv4 and IPv6: one of them may not work at all."""
    preferred = [one for one in found if one[0] == found[0][0]]
    others = [one for one in found if one[0] != found[0][0]]
    return [one for pair in zip_longest(preferred, others) for one in pair if one]


class _Race:
    """Connection attempts that run side by side, started one after the other."""

    def __init__(self, addresses: list[Any], options: tuple[Option, ...]) -> None:
        self._addresses = addresses
        self._options = options
        self._selector = selectors.PollSelector()  # needs no file descriptor
        self._running: set[socket.socket] = set()
        self._error = OSError("the name has no address")

    def run(self, deadline: float) -> socket.socket:
        while self._addresses or self._running:
            if self._addresses:
                self._start(*self._addresses.pop(0))
            if not self._running:
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(ETIMEDOUT, os.strerror(ETIMEDOUT))
            for key, _ in self._selector.select(min(left, HEAD_START_S) if self._addresses else left):
                if self._has_won(key.fileobj):
                    return key.fileobj  # type: ignore[return-value]
        raise self._error

    def close(self) -> None:
        """Close the attempts that did not win."""
        for loser in self._running:
            loser.close()
        self._selector.close()

    def _start(self, family: int, kind: int, protocol: int, _name: str, address: Any) -> None:
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # a kernel without IPv6
            self._error = error
            return
        self._running.add(connection)
        self._selector.register(connection, selectors.EVENT_WRITE)
        for option in self._options:
            connection.setsockopt(*option)
        connection.setblocking(False)
        code = connection.connect_ex(address)
        if code not in (0, EINPROGRESS):
            self._lose(connection, code)

    def _has_won(self, connection: Any) -> bool:
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._lose(connection, code)
            return False
        self._running.remove(connection)
        return True

    def _lose(self, connection: socket.socket, code: int) -> None:
        self._error = OSError(code, os.strerror(code))
        self._selector.unregister(connection)
        self._running.remove(connection)
        connection.close()
