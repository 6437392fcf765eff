"""What a response means, as tables: the response, the situation, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.errors import IntegrityError, LuciError, NetworkError, ResolveError
from luci_dl.net.judge import judge
from luci_dl.net.response import RangeRequest, ResponseInfo
from luci_dl.net.retry import AttemptFailed, Remedy
from luci_dl.net.situation import Answer, Situation

URL = "https://example.com/m.gguf"
HUB = "https://hub.example.com/owner/repo"
PLAIN = RangeRequest(URL, 0, None, plain=True)
WHOLE = RangeRequest(URL, 0, None)
FIRST = RangeRequest(URL, 0, 200_000, None)
REST = RangeRequest(URL, 100_000, None, None)
MIDDLE = RangeRequest(URL, 100_000, 200_000, None)

UNKNOWN = Situation("m.gguf")
SIZED = Situation("m.gguf", size=300_000)
PROVED = Situation("m.gguf", provable=True)
KNOWN = Situation("m.gguf", size=300_000, provable=True)

TAKE, TAKE_WHOLE, START_OVER, INTEGRITY, NETWORK, RESOLVE = (
    "take", "take as whole", "start over", "integrity", "network", "resolve",
)  # fmt: skip


def verdict(request: RangeRequest, answer: Answer, situation: Situation) -> object:
    """In the words of the table in `judge`."""
    try:
        info = judge(request, answer, situation)
    except AttemptFailed as failure:
        return failure.remedy
    except LuciError as error:
        kinds = ((IntegrityError, INTEGRITY), (NetworkError, NETWORK), (ResolveError, RESOLVE))
        return next(word for kind, word in kinds if isinstance(error, kind))
    if info.is_range:
        return TAKE
    return TAKE_WHOLE if info.offset == request.start else START_OVER


def body(status: int = 206, span: str = "", length: int | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"content-range": f"bytes {span}"} if span else {}
    return Answer(status, named | ({} if length is None else {"content-length": str(length)}))


@pytest.mark.parametrize("status", [200, 203, 206])
@pytest.mark.parametrize(
    ("request_", "answer", "situation", "expected"),
    [
        (REST, body(span="100000-299999/300000"), KNOWN, TAKE),
        (REST, body(span="100000-299999/300000", length=200_000), UNKNOWN, TAKE),
        (REST, body(span="100000-299999/*"), SIZED, TAKE),
        (REST, body(span="100000-299999/*"), PROVED, Remedy.NO_RANGES),
        (MIDDLE, body(span="100000-199999/300000"), KNOWN, TAKE),
        (MIDDLE, body(span="100000-180000/300000"), KNOWN, TAKE),
        (MIDDLE, body(span="100000-299999/300000"), KNOWN, TAKE),
        (MIDDLE, body(span="100000-100009/300000"), KNOWN, Remedy.NO_RANGES),
        (RangeRequest(URL, 299_990, None, None), body(span="299990-299999/300000"), KNOWN, TAKE),
        (MIDDLE, body(span="99999-199999/300000"), KNOWN, Remedy.NO_RANGES),
        (MIDDLE, body(span="100001-199999/300000"), KNOWN, Remedy.NO_RANGES),
        (MIDDLE, body(span="100000-199999/300001"), KNOWN, Remedy.NO_RANGES),
        (WHOLE, body(span="0-299999/300000"), UNKNOWN, TAKE),
        (WHOLE, body(span="0-99999/300000"), UNKNOWN, TAKE),
        (WHOLE, body(span="0-99999/300000", transfer_encoding="chunked"), UNKNOWN, TAKE),
        (MIDDLE, body(span="0-299999/300000", length=300_000), KNOWN, START_OVER),
        (MIDDLE, body(span="0-299999/300000", transfer_encoding="chunked"), KNOWN, START_OVER),
        (MIDDLE, body(span="0-299999/300000", transfer_encoding="chunked"), UNKNOWN, START_OVER),
        (REST, body(span="100000 - 299999 / 300000"), KNOWN, TAKE),
        (REST, body(span="  100000-299999/300000"), KNOWN, TAKE),
        (REST, body(span="98304-299999/300000"), KNOWN, Remedy.NO_RANGES),
        (REST, body(span="100000-299999/300000", content_encoding="gzip"), KNOWN, TAKE),
        (REST, body(span="100000-299999/300000", content_encoding="gzip"), SIZED, NETWORK),
    ],
)
def test_a_content_range_is_believed_as_far_as_it_fits(
    request_: RangeRequest, answer: Answer, situation: Situation, expected: object, status: int
) -> None:
    """Whatever the status says. The rest of a shorter range is requested next."""
    assert verdict(request_, replace(answer, status=status), situation) == expected


@pytest.mark.parametrize(
    ("request_", "answer", "situation", "expected"),
    [
        (REST, body(), KNOWN, Remedy.NO_RANGES),
        (REST, body(span="*/300000"), KNOWN, Remedy.NO_RANGES),
        (REST, body(span="100000-299999/300000", length=7), KNOWN, Remedy.NO_RANGES),
        (REST, body(content_type="multipart/byteranges; boundary=x"), KNOWN, Remedy.NO_RANGES),
        (FIRST, body(length=200_000), KNOWN, Remedy.NO_RANGES),
        (FIRST, body(length=300_000), KNOWN, TAKE_WHOLE),
        (WHOLE, body(length=300_000), SIZED, TAKE_WHOLE),
        (WHOLE, body(length=300_000), PROVED, Remedy.PROBE),
        (PLAIN, body(length=300_000), PROVED, TAKE_WHOLE),
        (WHOLE, body(length=200_000), KNOWN, Remedy.PROBE),
        (PLAIN, body(length=200_000), KNOWN, INTEGRITY),
        (WHOLE, body(length=300_000), UNKNOWN, Remedy.PROBE),
        (PLAIN, body(length=300_000), UNKNOWN, INTEGRITY),
        (WHOLE, body(span="0-299999/300000", length=7), UNKNOWN, Remedy.PROBE),
        (WHOLE, body(), KNOWN, Remedy.PROBE),
        (PLAIN, body(), KNOWN, TAKE_WHOLE),
        (WHOLE, body(), SIZED, Remedy.PROBE),
        (PLAIN, body(), SIZED, INTEGRITY),
        (WHOLE, body(200, length=300_000), UNKNOWN, TAKE_WHOLE),
        (WHOLE, body(200, length=300_000, span="nonsense"), UNKNOWN, TAKE_WHOLE),
        (WHOLE, body(203, length=300_000), UNKNOWN, TAKE_WHOLE),
        (WHOLE, body(200, transfer_encoding="chunked"), UNKNOWN, TAKE_WHOLE),
        (WHOLE, body(200), PROVED, TAKE_WHOLE),
        (WHOLE, body(200), SIZED, TAKE_WHOLE),
        (WHOLE, body(200), UNKNOWN, INTEGRITY),
        (FIRST, body(200, length=300_000), KNOWN, TAKE_WHOLE),
        (REST, body(200, length=300_000), KNOWN, START_OVER),
        (REST, body(200, length=300_000), replace(KNOWN, beside=1), Remedy.NO_RANGES),
        (REST, body(200, length=300_000), replace(KNOWN, only_url=False), Remedy.NO_RANGES),
    ],
)
def test_what_nothing_proves_is_taken_as_whole_only_by_its_length(
    request_: RangeRequest, answer: Answer, situation: Situation, expected: object
) -> None:
    """And the whole file in place of a range never discards what other connections are receiving."""
    assert verdict(request_, answer, situation) == expected


REST_OF_X = replace(REST, validator='"x"')
PAGE = body(200, length=999, content_type="text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("request_", "answer", "situation", "expected"),
    [
        (WHOLE, PAGE, UNKNOWN, TAKE_WHOLE),
        (WHOLE, PAGE, KNOWN, INTEGRITY),
        (WHOLE, PAGE, replace(KNOWN, served=True), Remedy.WAIT),
        (REST, PAGE, KNOWN, Remedy.WAIT),
        (REST, PAGE, replace(KNOWN, failures=9), Remedy.WAIT),
        (WHOLE, replace(PAGE, headers={**PAGE.headers, "content-length": "300000"}), KNOWN, TAKE_WHOLE),
        (REST, body(206, span="100000-299999/300000", content_type="text/html"), KNOWN, TAKE),
        (WHOLE, PAGE, Situation("page.html"), TAKE_WHOLE),
        (REST, replace(PAGE, headers={**PAGE.headers, "content-length": "300000"}), KNOWN, START_OVER),
        (REST, body(200, transfer_encoding="chunked", content_type="application/json"), KNOWN, Remedy.WAIT),
        (REST, body(200, transfer_encoding="chunked", content_type="text/xml"), KNOWN, Remedy.WAIT),
        (WHOLE, body(200, length=999, content_type="application/json"), Situation("config.json", 300_000), TAKE_WHOLE),
        (WHOLE, replace(PAGE, headers={**PAGE.headers, "content-encoding": "gzip"}), UNKNOWN, INTEGRITY),
        (REST, body(200, length=999), KNOWN, Remedy.WAIT),
        (REST_OF_X, body(200, length=999, etag='"x"'), SIZED, Remedy.WAIT),
        (REST_OF_X, body(200, length=999, etag='"y"'), SIZED, START_OVER),
        (REST, body(200, length=999), replace(KNOWN, failures=2), START_OVER),
        (WHOLE, body(200, length=999), KNOWN, TAKE_WHOLE),
    ],
)
def test_a_page_in_place_of_the_file_costs_nothing_that_is_there(
    request_: RangeRequest, answer: Answer, situation: Situation, expected: object
) -> None:
    """The type alone is no reason to refuse bytes that may be right; the sink compares the size."""
    assert verdict(request_, answer, situation) == expected


def test_a_range_that_begins_at_the_end_says_that_all_is_there() -> None:
    """And how long the file is, if that was unknown; another 416 says no such thing."""
    info = judge(REST, Answer(416, {"content-range": "bytes */100000"}), PROVED)
    assert (info.offset, info.length, info.size) == (100_000, 0, 100_000)
    for span in ("bytes */99999", "bytes */100001", "bytes */*", ""):
        assert verdict(REST, Answer(416, {"content-range": span}), PROVED) == Remedy.PROBE


@pytest.mark.parametrize(
    ("request_", "situation", "expected"),
    [
        (WHOLE, UNKNOWN, Remedy.WAIT),
        (WHOLE, replace(UNKNOWN, failures=2), TAKE_WHOLE),
        (WHOLE, Situation("empty.txt", size=0), TAKE_WHOLE),
        (REST, KNOWN, Remedy.WAIT),
        (REST, replace(KNOWN, failures=9), Remedy.WAIT),
        (WHOLE, replace(KNOWN, failures=9), Remedy.WAIT),
    ],
)
def test_nothing_in_place_of_the_file_is_believed_late(
    request_: RangeRequest, situation: Situation, expected: object
) -> None:
    """And never in place of a range, since that would discard what is there."""
    assert verdict(request_, body(200, length=0), situation) == expected


def test_a_body_without_an_end_keeps_the_size_that_is_known() -> None:
    """Without a digest, nothing else shows that it was cut."""
    answer = body(200)
    assert [judge(WHOLE, answer, situation).size for situation in (SIZED, KNOWN, PROVED)] == [300_000, None, None]


@pytest.mark.parametrize("coding", ["aws-chunked", "none", "binary", "utf-8", "identity", "identity, identity", ""])
def test_what_is_no_coding_changes_no_bytes(coding: str) -> None:
    """With a digest and without."""
    answer = body(200, length=300_000, content_encoding=coding)
    assert verdict(WHOLE, answer, UNKNOWN) == verdict(WHOLE, answer, KNOWN) == TAKE_WHOLE


@pytest.mark.parametrize("coding", ["gzip", "X-Gzip", "br", "zstd", "gzip, identity"])
def test_a_coding_is_for_the_digest_to_judge(coding: str) -> None:
    """A server may call a compressed file so. Without a digest, or with another length, it is refused."""
    answer = body(200, length=300_000, content_encoding=coding)
    assert verdict(WHOLE, answer, KNOWN) == verdict(WHOLE, answer, PROVED) == TAKE_WHOLE
    assert verdict(WHOLE, answer, UNKNOWN) == verdict(WHOLE, answer, replace(KNOWN, size=7)) == NETWORK
    assert verdict(WHOLE, body(200, transfer_encoding="gzip, chunked"), KNOWN) == NETWORK


SERVED = replace(KNOWN, served=True)
RANGES = replace(SERVED, ranges_served=True)
LOCATED = replace(RANGES, located=True)
ABOUT_RANGES = 400, 401, 403, 405, 406, 412, 416, 501


@pytest.mark.parametrize(
    ("request_", "status", "situation", "expected"),
    [
        *[(WHOLE, status, UNKNOWN, Remedy.WAIT) for status in (408, 421, 425, 500, 502, 504, 509, 520, 530, 598)],
        *[(WHOLE, status, UNKNOWN, Remedy.FEWER) for status in (429, 503)],
        *[(WHOLE, status, UNKNOWN, NETWORK) for status in (304, 505, 511, 999)],
        (PLAIN, 501, UNKNOWN, NETWORK),
        *[(WHOLE, status, UNKNOWN, Remedy.WAIT) for status in (202, 204, 205)],
        (WHOLE, 204, replace(UNKNOWN, failures=2), NETWORK),
        *[(WHOLE, status, UNKNOWN, RESOLVE) for status in (404, 410, 418, 451)],
        *[(WHOLE, status, UNKNOWN, Remedy.PROBE) for status in ABOUT_RANGES],
        *[(PLAIN, status, UNKNOWN, RESOLVE) for status in (400, 401, 403, 404, 405, 406, 410, 412, 416, 418, 451)],
        *[(WHOLE, status, replace(UNKNOWN, beside=1), Remedy.NO_RANGES) for status in ABOUT_RANGES],
        *[(REST, status, RANGES, RESOLVE) for status in (400, 401, 403, 404, 405, 416)],
        *[(REST, status, replace(RANGES, beside=1), Remedy.FEWER) for status in (400, 403, 404, 416, 429, 500, 501)],
        *[(REST, status, replace(SERVED, beside=1), Remedy.FEWER) for status in (429, 500)],
        *[(REST, status, replace(SERVED, beside=1), Remedy.NO_RANGES) for status in (400, 403, 404, 416, 501)],
        *[(REST, status, KNOWN, Remedy.PROBE) for status in (400, 401, 403, 404, 405, 416, 501)],
        *[(REST, status, SERVED, Remedy.PROBE) for status in (400, 403, 404, 416, 501)],
        (REST, 500, SERVED, Remedy.WAIT),
        (REST, 500, replace(RANGES, failures=2), Remedy.WAIT),
        (REST, 403, replace(RANGES, failures=2), Remedy.PROBE),
        (WHOLE, 403, SERVED, Remedy.PROBE),
        (PLAIN, 403, SERVED, RESOLVE),
        *[(REST, status, LOCATED, Remedy.FRESH_ADDRESS) for status in (400, 401, 403, 404, 410, 412)],
        *[(REST, status, replace(LOCATED, beside=3), Remedy.FRESH_ADDRESS) for status in (400, 403, 404)],
        (WHOLE, 403, replace(LOCATED, failures=9), Remedy.FRESH_ADDRESS),
        (REST, 416, LOCATED, RESOLVE),
        *[(REST, status, LOCATED, Remedy.FEWER) for status in (429, 503)],
        *[(REST, status, LOCATED, Remedy.WAIT) for status in (408, 500)],
    ],
)
def test_a_refusal_is_of_one_request(
    request_: RangeRequest, status: int, situation: Situation, expected: object
) -> None:
    """A final one is final for an address that has served nothing; `Fetch` is patient with the others."""
    assert verdict(request_, Answer(status, {}), situation) == expected


@pytest.mark.parametrize("answer", [Answer(403, {"x-error-code": "GatedRepo"}), Answer(403, {}, repository=True)])
def test_a_refusal_with_a_reason_is_not_about_the_range(answer: Answer) -> None:
    """The Hub and registries say what is wrong, so a plain request would bring nothing."""
    assert verdict(replace(WHOLE, url=f"{HUB}/resolve/main/m.gguf"), answer, UNKNOWN) == RESOLVE


@pytest.mark.parametrize(
    ("status", "situation", "expected"),
    [
        (403, UNKNOWN, Remedy.FRESH_ADDRESS),
        (403, replace(UNKNOWN, failures=1), Remedy.PROBE),
        (401, replace(UNKNOWN, failures=1), Remedy.PROBE),
        (403, SERVED, Remedy.FRESH_ADDRESS),
        (403, replace(SERVED, failures=1), Remedy.FRESH_ADDRESS),
        (403, replace(SERVED, failures=2), Remedy.PROBE),
        (410, replace(SERVED, failures=2), NETWORK),
        (404, UNKNOWN, RESOLVE),
        (503, UNKNOWN, Remedy.FEWER),
        (403, replace(RANGES, beside=1), Remedy.FEWER),
    ],
)
def test_an_expired_address_is_replaced_but_not_for_ever(status: int, situation: Situation, expected: object) -> None:
    """A fresh address that is refused has not expired."""
    assert verdict(WHOLE, Answer(status, {}, host="cdn.example:8443"), situation) == expected


def test_the_server_s_words_and_its_delay_are_passed_on() -> None:
    """To the next attempt, and to the user when there is none."""
    answer = Answer(503, {"retry-after": "7"}, host="cdn.example:8443", message="Slow down.")
    with pytest.raises(AttemptFailed) as failed:
        judge(WHOLE, answer, UNKNOWN)
    assert failed.value.reason == "cdn.example:8443 (redirected from example.com) returned 503: Slow down."
    assert failed.value.retry_after == 7
    assert "connection" not in failed.value.hint
    with pytest.raises(ResolveError, match=r"denies access \(403\): Request has expired$"):
        judge(PLAIN, Answer(403, {}, message="Request has expired"), UNKNOWN)


def test_a_refusal_for_now_is_not_one_for_good() -> None:
    """Some servers tell a used-up rate limit by 403."""
    with pytest.raises(AttemptFailed) as failed:
        judge(WHOLE, Answer(403, {"retry-after": "7"}), UNKNOWN)
    assert failed.value.retry_after == 7


def test_the_hint_fits_the_address() -> None:
    """Credentials for a plain address; a new address in place of a signed one, whose signature is not shown."""
    with pytest.raises(ResolveError) as plain:
        judge(PLAIN, Answer(403, {}), UNKNOWN)
    with pytest.raises(ResolveError) as signed:
        judge(replace(PLAIN, url=f"{URL}?X-Amz-Signature=secret"), Answer(403, {}), UNKNOWN)
    assert "--header" in plain.value.hint
    assert "limited time" in signed.value.hint


def test_a_status_that_may_come_from_the_proxy_names_it() -> None:
    """Either of them may have sent it."""
    said = "the proxy 10.0.0.1:3128 (HTTP_PROXY) returned"
    with pytest.raises(ResolveError, match=f"{said} 403".replace("(", r"\(").replace(")", r"\)")):
        judge(PLAIN, Answer(403, {}, through="the proxy 10.0.0.1:3128 (HTTP_PROXY)"), UNKNOWN)


@given(
    st.sampled_from([WHOLE, PLAIN, FIRST, REST, MIDDLE]),
    st.sampled_from([200, 203, 204, 206, 302, 400, 403, 404, 416, 429, 500, 501, 503, 999]),
    st.fixed_dictionaries(
        {},
        optional={
            "content-range": st.from_regex(r"bytes \d{1,7}-\d{1,7}/(\d{1,7}|\*)", fullmatch=True) | st.text(),
            "content-length": st.integers(0, 400_000).map(str) | st.text(),
            "transfer-encoding": st.sampled_from(["chunked", "identity", "gzip"]) | st.text(),
            "content-encoding": st.sampled_from(["gzip", "identity", "none"]) | st.text(),
            "content-type": st.sampled_from(["text/html", "application/json"]) | st.text(),
            "etag": st.text(),
            "retry-after": st.text(),
        },
    ),
    st.builds(
        Situation,
        st.just("m.gguf"),
        st.none() | st.just(300_000),
        st.booleans(),
        st.booleans(),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.integers(0, 4),
    ),
)
def test_any_response_gets_a_verdict(
    request_: RangeRequest, status: int, headers: dict[str, str], situation: Situation
) -> None:
    """What is taken begins at the requested byte or at the first one, and is not longer than the file."""
    try:
        info = judge(request_, Answer(status, headers), situation)
    except (AttemptFailed, LuciError):
        return
    assert isinstance(info, ResponseInfo)
    assert info.offset in (0, request_.start)
    assert info.size is None or info.length is None or info.offset + info.length <= info.size
    assert info.offset == request_.start or not situation.beside
    assert situation.provable or situation.size or info.delimited
