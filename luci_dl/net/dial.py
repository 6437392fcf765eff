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


def dial(host: str, port: int, timeout: float, options: Iterable[Option] = ()) -> tuple[socket.socket, float]:
    """The first connection that succeeds, to any address of `host`, and the seconds that connecting it took.

    Args:
        timeout: seconds, for all addresses together; afterwards the timeout of the socket.

    Raises: OSError, when all have failed: the reason of the last one; TimeoutError; UnicodeError, for an invalid name.
    """
    untried = _alternating(socket.getaddrinfo(_encoded(host.strip("[]")), port, type=socket.SOCK_STREAM))
    deadline, options = time.monotonic() + timeout, tuple(options)
    error = OSError("the name has no address")
    with selectors.PollSelector() as attempts:  # needs no extra file descriptor
        try:
            while untried or attempts.get_map():
                if untried:
                    try:
                        began = time.monotonic()
                        attempts.register(_start(untried.pop(0), options), selectors.EVENT_WRITE, began)
                    except OSError as failure:
                        error = failure
                        continue
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(ETIMEDOUT, os.strerror(ETIMEDOUT))
                for key, _ in attempts.select(min(left, HEAD_START_S) if untried else left):
                    attempts.unregister(key.fileobj)
                    connection: Any = key.fileobj
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        connection.settimeout(timeout)
                        return connection, time.monotonic() - key.data
                    connection.close()
                    error = OSError(code, os.strerror(code))
            raise error
        finally:
            for key in attempts.get_map().values():
                key.fileobj.close()  # type: ignore[union-attr]


def _encoded(name: str) -> str | bytes:
    """Plain names as bytes: Python takes 4 ms to load the codec that encodes, or refuses, all others."""
    is_plain = name.isascii() and all(0 < len(label) < 64 for label in name.removesuffix(".").split("."))
    return name.encode() if is_plain else name


def _alternating(found: list[Any]) -> list[Any]:
    """The system's order, but alternating between IPv4 and IPv6: one of them may not work at all."""
    preferred = [one for one in found if one[0] == found[0][0]]
    others = [one for one in found if one[0] != found[0][0]]
    return [one for pair in zip_longest(preferred, others) for one in pair if one]


def _start(found: Any, options: Iterable[Option]) -> socket.socket:
    """Begin to connect to one result of `getaddrinfo`. Raises: OSError, also in a kernel without IPv6."""
    family, kind, protocol, _name, address = found
    connection = socket.socket(family, kind, protocol)
    try:
        for option in options:
            connection.setsockopt(*option)
        connection.setblocking(False)
        code = connection.connect_ex(address)
        if code not in (0, EINPROGRESS):
            raise OSError(code, os.strerror(code))
    except OSError:
        connection.close()
        raise
    return connection
