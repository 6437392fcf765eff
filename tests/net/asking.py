"""One request with secret headers, for tests of redirects and proxies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from luci_dl.net.client import Client, Response
from luci_dl.net.response import RangeRequest
from luci_dl.net.situation import Situation

DATA = bytes(range(256)) * 1200
SITUATION = Situation("m.gguf")
SECRET = {"Authorization": "Bearer secret", "X-Token": "secret"}


@contextlib.contextmanager
def asked(
    url: str, client: Client | None = None, start: int = 0, situation: Situation = SITUATION
) -> Iterator[Response]:
    response = (client or Client()).get(RangeRequest(url, start, None, None), situation, SECRET)
    try:
        yield response
    finally:
        response.close()


def body(url: str, client: Client | None = None) -> bytes:
    """The whole body of the response."""
    with asked(url, client) as response:
        return whole(response)


def whole(response: Response) -> bytes:
    """The whole body."""
    return b"".join(iter(lambda: block(response), b""))


def block(response: Response, at_most: int = 1 << 20) -> bytes:
    """The next bytes of the body; none at the end."""
    memory = memoryview(bytearray(at_most))
    return bytes(memory[: response.read_into(memory)])
