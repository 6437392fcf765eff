"""The rules of HTTP, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from luci_dl.errors import NetworkError
from luci_dl.net.response import (
    LinkedFile,
    RangeRequest,
    content_length,
    content_range,
    linked_file,
    redirect_target,
    strong_etag,
)

URL = "https://example.com/m.gguf"
WHOLE = RangeRequest(URL, 0, None)
REST = RangeRequest(URL, 100, None, '"v"')
MIDDLE = RangeRequest(URL, 100, 200, '"v"')


@pytest.mark.parametrize(
    (("asked", "headers")),
    [
        (WHOLE, {"Range": "bytes=0-"}),
        (replace(WHOLE, plain=True), {}),
        (replace(WHOLE, validator='"v"'), {"Range": "bytes=0-", "If-Range": '"v"'}),
        (REST, {"Range": "bytes=100-", "If-Range": '"v"'}),
        (MIDDLE, {"Range": "bytes=100-199", "If-Range": '"v"'}),
        (RangeRequest(URL, 0, 1, None), {"Range": "bytes=0-0"}),
    ],
)
def test_a_range_request_names_the_version(asked: RangeRequest, headers: dict[str, str]) -> None:
    """If-Range goes with every range whose validator is known; a plain request has no such header."""
    assert asked.headers() == headers


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("300", 300),
        ("0", 0),
        ("3, 3", 3),
        ("3, 4", None),
        ("3,", None),
        ("-3", None),
        ("٣", None),
        ("9" * 19, None),
        (None, None),
    ],
)
def test_a_length_is_one_plain_number(value: str | None, length: int | None) -> None:
    """The same number sent twice is one length."""
    assert content_length(value) == length


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes 100-299/300", (100, 300, 300)),
        (" Bytes  0-0/1 ", (0, 1, 1)),
        ("bytes=100-299/300", (100, 300, 300)),
        ("bytes 100-299/*", (100, 300, None)),
        ("bytes */300", None),
        ("bytes 100-300/300", None),
        ("bytes 100-99/300", None),
        ("octets 100-299/300", None),
        ("bytes 100-299/300, bytes 100-299/300", None),
        (f"bytes 100-{9 * 10**18}/{10**19}", None),
        (None, None),
    ],
)
def test_a_content_range_has_to_make_sense(value: str | None, found: object) -> None:
    """First byte, end and size; the size may be unknown."""
    assert content_range(value) == found


@pytest.mark.parametrize(
    ("value", "validator"),
    [
        ('"a"', '"a"'),
        (' "a-b" ', '"a-b"'),
        ('W/"a"', None),
        ('""', None),
        ("a", None),
        ('"a', None),
        ("", None),
        (None, None),
        ('"a\r\nX-Evil: 1"', None),
        ('"\x1b[31m"', None),
        ('"' + "a" * 5000 + '"', None),
    ],
)
def test_only_a_strong_and_clean_etag_is_sent_back(value: str | None, validator: str | None) -> None:
    """A request header gets only a quoted, printable and short value."""
    assert strong_etag(value) == validator


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("/b", "https://example.com/b"),
        ("b?c=d", "https://example.com/b?c=d"),
        ("//other.example/b", "https://other.example/b"),
        ("https://other.example:8443/b", "https://other.example:8443/b"),
        ("https://m\u00fcnchen.example:8443/b".encode().decode("latin-1"), "https://xn--mnchen-3ya.example:8443/b"),
        ("https:\\\\other.example\\b", "https://other.example/b"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_relative_or_not(status: int, location: str, there: str) -> None:
    """Relative to the requested address."""
    assert redirect_target(URL, status, {"location": location}) == there


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://example.com/m.gguf", "https to http"),
        ("http://other.example/", "https to http"),
        ("ftp://example.com/", "neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
        ("data:,x", "neither http nor https"),
        ("ws://example.com/", "neither http nor https"),
        ("https://example.com:99999/", "invalid address"),
        ("https://[::1/", "invalid address"),
        ("https://a%2fb.example/", "invalid address"),
        ("https://a\xff.example/", "invalid address"),
        ("", "without a Location"),
    ],
)
def test_an_unsafe_or_invalid_redirect_is_refused(location: str, said: str) -> None:
    """From https to http, to another scheme, or to an invalid address."""
    with pytest.raises(NetworkError, match=said):
        redirect_target(URL, 302, {"location": location})


@pytest.mark.parametrize("status", [200, 206, 300, 304, 305, 404])
def test_no_other_status_redirects(status: int) -> None:
    """Even with a Location."""
    assert redirect_target(URL, status, {"location": "/b"}) is None


@pytest.mark.parametrize(
    ("etag", "size", "found"),
    [
        ('"' + "AB" * 32 + '"', "7", LinkedFile("ab" * 32, 7)),
        ("ab" * 32, "7", LinkedFile("ab" * 32, 7)),
        ('"' + "ab" * 20 + '"', "7", LinkedFile(None, 7)),
        ('"' + "zz" * 32 + '"', "seven", LinkedFile()),
        ("", "", LinkedFile()),
    ],
)
def test_the_hub_s_headers_give_digest_and_size(etag: str, size: str, found: LinkedFile) -> None:
    """A git blob SHA-1, as files outside LFS have, is not used as a digest."""
    assert linked_file({"x-linked-etag": etag, "x-linked-size": size}) == found
