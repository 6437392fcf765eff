"""What luci sent that may be secret: a server may repeat it in its own words, which luci shows."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

PUBLIC_HEADERS = {"range", "if-range", "accept"}
"""All others may be secret."""
_MIN_LENGTH = 6
"""Shorter texts are everywhere."""
_sent: deque[str] = deque(maxlen=256)


def note_sent(url: str, headers: Mapping[str, str]) -> None:
    """Remember the secrets of a request. Any thread may call."""
    for secret in _secrets_in(url, headers):
        if len(secret) >= _MIN_LENGTH and secret not in _sent:
            _sent.append(secret)


def without_sent(text: str) -> str:
    """The words of a server with "..." in place of each secret that was sent."""
    for secret in sorted(_sent, key=len, reverse=True):
        text = text.replace(secret, "...")
    return text


def _secrets_in(url: str, headers: Mapping[str, str]) -> Iterator[str]:
    query = urlsplit(url).query
    yield from (query, unquote(query))
    for _, value in parse_qsl(query):
        yield value
    for name, value in headers.items():
        if name.lower() not in PUBLIC_HEADERS:
            yield from (value, value.rpartition(" ")[2], _password_in(value))


def _password_in(value: str) -> str:
    """That of Basic authentication; empty in any other header."""
    scheme, _, pair = value.partition(" ")
    try:
        return base64.b64decode(pair).decode().partition(":")[2] if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
