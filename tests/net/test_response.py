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
def test_a_range_names_the_version_it_belongs_to(asked: RangeRequest, headers: dict[str, str]) -> None:
    """If-Range goes with every range for which a validator is known, and a whole file is asked for plainly."""
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
def test_a_200_is_the_whole_file_whatever_was_asked(headers: dict[str, str], info: ResponseInfo) -> None:
    """Its length is what Content-Length says, if that is a plain number; its end is sure only with that or chunks."""
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
def test_a_206_is_taken_with_exactly_the_range_asked(asked: RangeRequest, content_range: str, info: object) -> None:
    """First and last byte are those that were asked for, and the total is known."""
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
def test_any_other_206_makes_ranges_untrusted(headers: dict[str, str]) -> None:
    """The attempt has failed, and the next one asks for the whole file."""
    with pytest.raises(AttemptFailed) as caught:
        response_info(REST, 206, headers)
    assert caught.value.no_ranges


@pytest.mark.parametrize(
    "headers",
    [{"content-encoding": "gzip"}, {"content-encoding": "br"}, {"transfer-encoding": "gzip, chunked"}],
)
def test_a_coded_body_is_refused(headers: dict[str, str]) -> None:
    """Nobody asked for another coding, and its bytes are not the file's."""
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
def test_only_a_strong_and_decent_etag_is_sent_back(value: str | None, validator: str | None) -> None:
    """What goes into a request header is quoted, printable and short."""
    assert strong_etag(value) == validator


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_when_it_says(status: int) -> None:
    """Retry-After is taken over."""
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
    """No access means a wrong address at the first host, and an address that has expired behind a redirect."""
    assert type(error_for_status(REST, status, {}, redirected_to=CDN if redirected else None)) is kind


def test_who_answered_is_named_with_its_status_and_not_its_secrets() -> None:
    """Who redirected and who failed then are told apart; nobody is sent to check a connection that stands."""
    error = error_for_status(REST, 503, {}, redirected_to=CDN)
    assert isinstance(error, AttemptFailed)
    assert error.reason == "cdn.example:8443 (redirected from example.com) returned 503"
    assert "connection" not in error.hint
    assert "cdn.example:8443" in str(error_for_status(REST, 404, {}, redirected_to=CDN))
    assert "secret" not in str(error_for_status(REST, 404, {}, redirected_to=CDN))


def test_an_answer_that_may_be_the_proxy_s_names_it() -> None:
    """Whether it was the server's or its own cannot be told."""
    proxy = Proxy("http", "10.0.0.1", 3128, "HTTP_PROXY")
    assert "the proxy 10.0.0.1:3128 (HTTP_PROXY) returned 403" in str(error_for_status(REST, 403, {}, through=proxy))
    assert "the proxy 10.0.0.1:3128 (HTTP_PROXY) returned 502" in str(error_for_status(REST, 502, {}, through=proxy))


def test_a_416_makes_ranges_untrusted() -> None:
    """The next attempt asks for the whole file."""
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
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_relative_or_not(status: int, location: str, there: str) -> None:
    """By the rules of joining addresses."""
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
        ("", "without a Location"),
    ],
)
def test_a_redirect_to_where_nobody_should_go_is_refused(location: str, said: str) -> None:
    """Out of https, out of the web, or to no address at all."""
    with pytest.raises(NetworkError, match=said):
        redirect_target(URL, 302, {"location": location})


@pytest.mark.parametrize("status", [200, 206, 300, 304, 305, 404])
def test_no_other_status_redirects(status: int) -> None:
    """Whatever its Location says."""
    assert redirect_target(URL, status, {"location": "/b"}) is None


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_web_page_is_not_the_file(kind: str) -> None:
    """At the beginning it is an integrity error; later a failed attempt, so that what is there is kept."""
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
def test_the_hub_tells_digest_and_size(etag: str, size: str, found: tuple[str | None, int | None]) -> None:
    """A git blob SHA-1, as files outside LFS have, is no digest of the file."""
    assert linked_file({"x-linked-etag": etag, "x-linked-size": size}) == found
