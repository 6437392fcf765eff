"""One request of a client that carries secrets, for the tests of the ways that it may go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from luci_dl.net.client import Client, Response
from luci_dl.net.response import RangeRequest

DATA = bytes(range(256)) * 1200
SECRET = {"Authorization": "Bearer secret", "X-Token": "secret"}


@contextlib.contextmanager
def asked(url: str, client: Client | None = None, start: int = 0) -> Iterator[Response]:
    answer = (client or Client()).get("m.gguf", RangeRequest(url, start, None, None), SECRET)
    try:
        yield answer
    finally:
        answer.close()


def body(url: str, client: Client | None = None) -> bytes:
    """All that the answer brings."""
    with asked(url, client) as answer:
        return whole(answer)


def whole(answer: Response) -> bytes:
    """All that it brings."""
    return b"".join(iter(lambda: block(answer), b""))


def block(answer: Response, at_most: int = 1 << 20) -> bytes:
    """The next bytes that it brings; none at the end."""
    memory = memoryview(bytearray(at_most))
    return bytes(memory[: answer.read_into(memory)])
