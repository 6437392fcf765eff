"""The rules of HTTP, as tables."""

from __future__ import annotations

import pytest

from luci_dl.errors import IntegrityError, NetworkError, ResolveError
from luci_dl.net.proxy import Proxy
from luci_dl.net.response import (
    RangeRequest,
    ResponseInfo,
    check_content_type,
    linked_file,
    redirect_target,
    response_info,
    strong_etag,
)
from luci_dl.net.retry import AttemptFailed
from luci_dl.net.status import error_for_status

URL = "https://example.com/m.gguf"
WHOLE = RangeRequest(URL, 0, None, None)
REST = RangeRequest(URL, 100, None, '"v"')
CDN = "https://cdn.example:8443/blob?signature=secret"
MIDDLE = RangeRequest(URL, 100, 200, '"v"')


@pytest.mark.parametrize(
    (("asked", "headers")),
    [
        (WHOLE, {}),
        (REST, {"Range": "bytes=100-", "If-Range": '"v"'}),
        (MIDDLE, {"Range": "bytes=100-199", "If-Range": '"v"'}),
        (RangeRequest(URL, 0, 1, None), {"Range": "bytes=0-0"}),
    ],
)
def test_a_range_request_names_the_version(asked: RangeRequest, headers: dict[str, str]) -> None:
    """If-Range goes with every range whose validator is known; a request for the whole file has no such header."""
    assert asked.headers() == headers


@pytest.mark.parametrize(
    ("headers", "info"),
    [
        ({"content-length": "300"}, ResponseInfo(0, 300, 300, None, True, False)),
        ({"content-length": "0"}, ResponseInfo(0, 0, 0, None, True, False)),
        ({"content-length": "300", "etag": '"v"'}, ResponseInfo(0, 300, 300, '"v"', True, False)),
        ({"content-length": "300", "etag": 'W/"v"'}, ResponseInfo(0, 300, 300, None, True, False)),
        ({"transfer-encoding": "Chunked", "content-length": "9"}, ResponseInfo(0, None, None, None, True, False)),
        ({"content-encoding": "identity"}, ResponseInfo(0, None, None, None, False, False)),
        ({"content-length": "-3"}, ResponseInfo(0, None, None, None, False, False)),
        ({"content-length": "3, 3"}, ResponseInfo(0, None, None, None, False, False)),
        ({"content-length": "٣"}, ResponseInfo(0, None, None, None, False, False)),
        ({"content-length": "9" * 19}, ResponseInfo(0, None, None, None, False, False)),
        ({"content-length": "3", "accept-ranges": "bytes"}, ResponseInfo(0, 3, 3, None, True, True)),
        ({"content-length": "3", "accept-ranges": "none"}, ResponseInfo(0, 3, 3, None, True, False)),
    ],
)
def test_a_200_is_the_whole_file_whatever_was_requested(headers: dict[str, str], info: ResponseInfo) -> None:
    """Its length is Content-Length, if that is a plain number; its end is certain only with that or chunks."""
    assert response_info(REST, 200, headers) == response_info(WHOLE, 200, headers) == info


@pytest.mark.parametrize(
    ("asked", "content_range", "info"),
    [
        (REST, "bytes 100-299/300", ResponseInfo(100, 200, 300, None, True, True)),
        (REST, " bytes 100-299/300 ", ResponseInfo(100, 200, 300, None, True, True)),
        (MIDDLE, "bytes 100-199/300", ResponseInfo(100, 100, 300, None, True, True)),
        (WHOLE, "bytes 0-299/300", ResponseInfo(0, 300, 300, None, True, True)),
    ],
)
def test_a_206_must_have_exactly_the_requested_range(asked: RangeRequest, content_range: str, info: object) -> None:
    """First and last byte are the requested ones, and the total is known."""
    assert response_info(asked, 206, {"content-range": content_range}) == info


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-range": "bytes */300"},
        {"content-range": "bytes 100-299/*"},
        {"content-range": "bytes 0-299/300"},
        {"content-range": "bytes 101-299/300"},
        {"content-range": "bytes 100-298/300"},
        {"content-range": "bytes 100-300/300"},
        {"content-range": "bytes 100-99/100"},
        {"content-range": "bytes=100-299/300"},
        {"content-range": "octets 100-299/300"},
        {"content-range": "bytes 100-299/300, bytes 100-299/300"},
        {"content-range": f"bytes 100-{9 * 10**18}/{10**19}"},
        {"content-range": "bytes 100-299/300", "content-length": "199"},
        {"content-type": "multipart/byteranges; boundary=x"},
    ],
)
def test_any_other_206_disables_ranges(headers: dict[str, str]) -> None:
    """The attempt fails, and the next one requests the whole file."""
    with pytest.raises(AttemptFailed) as caught:
        response_info(REST, 206, headers)
    assert caught.value.no_ranges


@pytest.mark.parametrize(
    "headers",
    [{"content-encoding": "gzip"}, {"content-encoding": "br"}, {"transfer-encoding": "gzip, chunked"}],
)
def test_an_encoded_body_is_refused(headers: dict[str, str]) -> None:
    """luci did not request an encoding, and the bytes are not the file's."""
    with pytest.raises(NetworkError, match="encoded"):
        response_info(WHOLE, 200, headers)


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


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_temporary_status_is_retried_after_the_requested_delay(status: int) -> None:
    """Retry-After gives the delay."""
    error = error_for_status(WHOLE, status, {"retry-after": "7"})
    assert isinstance(error, AttemptFailed)
    assert (error.retry_after, error.no_ranges) == (7.0, False)


@pytest.mark.parametrize(
    ("status", "redirected", "kind"),
    [
        (400, False, ResolveError),
        (401, False, ResolveError),
        (403, False, ResolveError),
        (404, False, ResolveError),
        (410, False, ResolveError),
        (418, False, ResolveError),
        (400, True, AttemptFailed),
        (401, True, AttemptFailed),
        (403, True, AttemptFailed),
        (410, True, AttemptFailed),
        (404, True, ResolveError),
        (416, False, AttemptFailed),
        (416, True, AttemptFailed),
        (407, False, ResolveError),
        (203, False, NetworkError),
        (204, False, NetworkError),
        (304, False, NetworkError),
        (501, False, NetworkError),
        (999, False, NetworkError),
    ],
)
def test_every_other_status_has_its_meaning(status: int, redirected: bool, kind: type[Exception]) -> None:
    """No access means a wrong address at the first host, and an expired address after a redirect."""
    assert type(error_for_status(REST, status, {}, redirected_to=CDN if redirected else None)) is kind


def test_the_failing_host_is_named_without_secrets() -> None:
    """The message tells who redirected and who failed; the hint does not suspect the connection."""
    error = error_for_status(REST, 503, {}, redirected_to=CDN)
    assert isinstance(error, AttemptFailed)
    assert error.reason == "cdn.example:8443 (redirected from example.com) returned 503"
    assert "connection" not in error.hint
    assert "cdn.example:8443" in str(error_for_status(REST, 404, {}, redirected_to=CDN))
    assert "secret" not in str(error_for_status(REST, 404, {}, redirected_to=CDN))


def test_a_status_that_may_come_from_the_proxy_names_it() -> None:
    """Either of them may have sent it."""
    proxy = Proxy("http", "10.0.0.1", 3128, "HTTP_PROXY")
    assert "the proxy 10.0.0.1:3128 (HTTP_PROXY) returned 403" in str(error_for_status(REST, 403, {}, through=proxy))
    assert "the proxy 10.0.0.1:3128 (HTTP_PROXY) returned 502" in str(error_for_status(REST, 502, {}, through=proxy))


def test_a_416_disables_ranges() -> None:
    """The next attempt requests the whole file."""
    error = error_for_status(REST, 416, {"content-range": "bytes */300"})
    assert isinstance(error, AttemptFailed)
    assert error.no_ranges


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


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_web_page_is_refused(kind: str) -> None:
    """At the beginning it is an integrity error; later a failed attempt, so that the bytes are kept."""
    with pytest.raises(IntegrityError, match="web page"):
        check_content_type("m.gguf", WHOLE, {"content-type": kind})
    with pytest.raises(AttemptFailed, match="web page"):
        check_content_type("m.gguf", REST, {"content-type": kind})
    check_content_type("page.html", WHOLE, {"content-type": kind})


@pytest.mark.parametrize(
    ("etag", "size", "found"),
    [
        ('"' + "AB" * 32 + '"', "7", ("ab" * 32, 7)),
        ("ab" * 32, "7", ("ab" * 32, 7)),
        ('"' + "ab" * 20 + '"', "7", (None, 7)),
        ('"' + "zz" * 32 + '"', "seven", (None, None)),
        ("", "", (None, None)),
    ],
)
def test_the_hub_s_headers_give_digest_and_size(etag: str, size: str, found: tuple[str | None, int | None]) -> None:
    """A git blob SHA-1, as files outside LFS have, is not used as a digest."""
    assert linked_file({"x-linked-etag": etag, "x-linked-size": size}) == found
