"""Content codings: which there are, and decoding small responses. Servers and proxies compress unasked."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

CODINGS = {"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"}
"""Any other Content-Encoding, such as aws-chunked, none or utf-8, leaves the bytes as they are."""
_PLAIN = {"", "identity"}
_GZIP = b"\x1f\x8b"
"""How every gzip body begins, and no text. Some proxies name another coding, or none."""
_INFLATED = {"gzip", "x-gzip", "deflate"}
_WINDOWS = (47, -15)
"""zlib's window bits: 47 recognises the headers of gzip and zlib; what some servers call deflate has no header."""
_MAX_MEMBERS = 100
"""Parts of a gzip body, each compressed on its own."""


def decoded(headers: Mapping[str, str], body: bytes, at_most: int) -> bytes:
    """The body without its content codings, cut after `at_most` bytes; what was lost at its end is left out.

    Raises: ValueError, for an unknown coding and for a body that does not have the coding that it is said to have.
    """
    named = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    for coding in reversed(["", *(name for name in named if name not in _PLAIN)]):
        if coding in _INFLATED or body.startswith(_GZIP):
            body = _inflated(body, at_most)
        elif coding:
            raise ValueError(f"unknown coding {coding}")
    return body


def _inflated(body: bytes, at_most: int) -> bytes:
    for window in _WINDOWS:
        try:
            return _joined(body, window, at_most)
        except zlib.error:
            continue
    raise ValueError("the body is not compressed")


def _joined(body: bytes, window: int, at_most: int) -> bytes:
    """The content of all members. What follows them is left out. Raises: zlib.error"""
    whole = bytearray()
    for _ in range(_MAX_MEMBERS):
        stream = zlib.decompressobj(window)
        try:
            whole += stream.decompress(body, at_most - len(whole))
        except zlib.error:
            if not whole:
                raise
            break
        body = stream.unused_data
        if not body or len(whole) >= at_most:
            break
    return bytes(whole)
