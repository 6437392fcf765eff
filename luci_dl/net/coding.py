"""Content codings: which there are, and decoding small responses. Servers and proxies compress unasked."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

CODINGS = {"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"}
"""Any other Content-Encoding, such as aws-chunked, none or utf-8, leaves the bytes as they are."""
_PLAIN = {"", "identity"}
_WINDOWS = {"gzip": 47, "x-gzip": 47, "deflate": 47}
"""By coding that luci can decode: zlib's window bits. 47 recognises the headers of both gzip and zlib."""
_RAW_DEFLATE = -15
"""What some servers call deflate has no header."""


def decoded(headers: Mapping[str, str], body: bytes, at_most: int) -> bytes:
    """The body without its content codings, cut after `at_most` bytes; what was lost at its end is left out.

    Raises: ValueError, for an unknown coding and for a body that does not have the coding that it is said to have.
    """
    codings = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    for coding in reversed([name for name in codings if name not in _PLAIN]):
        if coding not in _WINDOWS:
            raise ValueError(f"unknown coding {coding}")
        body = _inflated(body, coding, at_most)
    return body


def _inflated(body: bytes, coding: str, at_most: int) -> bytes:
    for window in (_WINDOWS[coding], _RAW_DEFLATE):
        try:
            return zlib.decompressobj(window).decompress(body, at_most)
        except zlib.error:
            continue
    raise ValueError(f"the body is not in the coding {coding}")
