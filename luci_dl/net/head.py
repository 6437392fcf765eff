"""The head of a response, read as browsers read it, whatever liberties the server took.

`http.client` drops all lines after one without a colon, and takes a cut head for a complete one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http.client import HTTPException, RemoteDisconnected
from itertools import takewhile
from typing import BinaryIO

MAX_LINES = 1000
"""Lines of a head, with those of the interim responses before it."""
MAX_LINE = 1 << 16

_INTERIM = re.compile(rb"HTTP/\S+\s+1\d\d\b")
_SWITCHED = re.compile(rb"HTTP/\S+\s+101\b")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = bytes.maketrans(bytes([*range(32), 127]), b" " * 33)

Field = tuple[bytes, bytes]
"""Name, as it was sent, and value."""


class InvalidHead(HTTPException):
    """The head leaves open what the body is. As a string: why."""


def read_head(reader: BinaryIO) -> bytes:
    """The head of the next response, without interim (1xx) ones. What is not HTTP ends with its first line.

    Raises: RemoteDisconnected, when the connection was lost in the head; InvalidHead.
    """
    lines = _lines(reader)
    while True:
        status = next(filter(None, lines))
        if not status.startswith(b"HTTP/"):
            return status
        fields = _fields(takewhile(bool, lines))
        if _SWITCHED.match(status):
            raise InvalidHead("it switches to a protocol that luci did not request")
        if not _INTERIM.match(status):
            return b"\r\n".join([status, *(b"%b: %b" % field for field in _framed(fields)), b"", b""])


def _lines(reader: BinaryIO) -> Iterator[bytes]:
    """Complete lines, without their ends."""
    for _ in range(MAX_LINES):
        line = reader.readline(MAX_LINE)
        if len(line) == MAX_LINE:
            break
        if not line.endswith(b"\n"):
            raise RemoteDisconnected("the connection was lost in the head of the response")
        yield line.rstrip(b"\r\n")
    raise InvalidHead("its head is too long")


def _fields(lines: Iterable[bytes]) -> list[Field]:
    """The header fields, each once. Continued lines are joined; what is no field is left out."""
    joined: list[bytes] = []
    for line in lines:
        if joined and line[:1] in (b" ", b"\t"):
            joined[-1] += b" " + line.strip()
        else:
            joined.append(line)
    split = [line.translate(_CONTROLS).partition(b":") for line in joined]
    named = [(name.rstrip(), value.strip()) for name, _, value in split]
    return list(dict.fromkeys((name, value) for name, value in named if _NAME.fullmatch(name)))


def _framed(fields: list[Field]) -> list[Field]:
    """The fields with at most one length or coding, which says where the body ends. Raises: InvalidHead."""
    codings = {coding.lower() for coding in _listed(fields, b"transfer-encoding")} - {b"identity"}
    lengths = {_number(text) for text in _listed(fields, b"content-length")} - {None}
    if codings - {b"chunked"}:
        raise InvalidHead("its transfer coding is one that luci did not request")
    if len(lengths) > 1 and not codings:
        raise InvalidHead(f"its Content-Length is both {' and '.join(map(str, sorted(filter(None, lengths))))}")
    if len({value for name, value in fields if name.lower() == b"location"}) > 1:
        raise InvalidHead("it redirects to two addresses")
    rest = [field for field in fields if field[0].lower() not in (b"transfer-encoding", b"content-length")]
    if codings:
        return [*rest, (b"Transfer-Encoding", b"chunked")]
    return [*rest, *((b"Content-Length", b"%d" % length) for length in lengths if length is not None)]


def _listed(fields: list[Field], name: bytes) -> list[bytes]:
    """The elements of a field that is a list."""
    texts = [value for given, value in fields if given.lower() == name]
    return [text for value in texts for part in value.split(b",") if (text := part.strip())]


def _number(text: bytes) -> int | None:
    """A length; None for a negative one, which some servers send when they do not know it. Raises: InvalidHead."""
    if re.fullmatch(rb"-[0-9]{1,18}", text):
        return None
    if re.fullmatch(rb"[0-9]{1,18}", text):
        return int(text)
    raise InvalidHead("its Content-Length is not a number")
