"""What a server says about an error: found in every format, short, and without secrets."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.net.coding import decoded
from luci_dl.net.server_message import MAX_LENGTH, server_message

HTML = {"content-type": "text/html; charset=utf-8"}
EXPIRED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Request has expired</Message><Expires>2026-01-01T00:00:00Z</Expires>
<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId><StringToSign>GET\n\n/m.gguf</StringToSign></Error>"""
NESTED = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied","detail":null}]}'


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, EXPIRED, "Request has expired"),
        ({}, b"<Error><Code>SlowDown</Code></Error>", "SlowDown"),
        ({}, b"<s:Error xmlns:s='x'><s:Message><![CDATA[Too late]]></s:Message></s:Error>", "Too late"),
        ({}, b'{"error": "Repository not found"}', "Repository not found"),
        ({}, b'{"error": {"code": 404, "message": "No such object: m"}}', "No such object: m"),
        ({}, b'{"error": "requires a\\nnewer version. Get it."}', "requires a newer version."),
        ({}, NESTED, "requested access to the resource is denied"),
        ({}, b'{"detail": [{"msg": "field required"}]}', "field required"),
        ({}, b'{"error": "invalid_grant", "error_description": "The code is too old."}', "The code is too old."),
        ({"content-type": "text/plain"}, b"\n rate  limit\texceeded \n more \n", "rate limit exceeded"),
        ({}, b"\xef\xbb\xbfNot here. Look elsewhere.", "Not here."),
        (HTML, b"<html><head><title>403\n Forbidden</title></head><h1>Other</h1>", "403 Forbidden"),
        ({}, b"<!DOCTYPE html><html><body><script>x()</script><h1>Blocked &amp; logged</h1>", "Blocked & logged"),
        ({}, b"\xef\xbb\xbf<!-- a --> <HTML><title>Log in</title>", "Log in"),
        ({"content-encoding": "gzip"}, b'{"error": "decoded already"}', "decoded already"),
        ({"content-encoding": "utf-8"}, b"no coding", "no coding"),
        ({}, b"the quota for r\xf6ntgen images is used up", "the quota for rntgen images is used up"),
        (HTML, b"just <b>a</b> text", "just"),
        ({"content-encoding": "gzip"}, gzip.compress(b'{"error": "small"}', mtime=0), "small"),
        ({}, b"\x1b]0;title\x07\x1b[31mred\x1b[0m \xe2\x80\xaehidden", "red hidden"),
        ({}, b"x " * 400, f"{'x ' * 99}x…"),
    ],
)
def test_the_first_sentence_is_found(headers: dict[str, str], body: bytes, expected: str) -> None:
    """XML, JSON, web pages and plain text; printable, its blanks collapsed."""
    assert server_message(headers, body) == expected


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b""),
        ({}, b"--- !! ---"),
        ({}, b"{broken"),
        ({}, b"[" * 5000),
        ({}, b'{"error": {"error": {"error": {"error": {"error": {"error": "deep"}}}}}}'),
        ({}, b'{"status": 403}'),
        ({"content-type": "application/octet-stream"}, b"GGUF"),
        ({"content-encoding": "br"}, b"\x0b\x02\x80"),
        ({"content-encoding": "gzip"}, b"\x1f\x8b\x08\x9c\xe2\x80\x03"),
        (HTML, b"<html><head></head><body></body></html>"),
    ],
)
def test_no_explanation_is_the_empty_text(headers: dict[str, str], body: bytes) -> None:
    """What cannot be read, or says nothing, adds nothing to a message."""
    assert server_message(headers, body) == ""


SECRET = "Zq3xP9vLkM2wT7rB"


@pytest.mark.parametrize(
    "text",
    [
        f"The address https://user:{SECRET}@cdn.example/m.gguf has expired",
        f"GET https://cdn.example/m.gguf?Expires=1&Signature={SECRET} is not allowed",
        f"/m.gguf?sig={SECRET} is not allowed",
        f"X-Amz-Signature={SECRET}&X-Amz-Date=1 does not match",
        f"The signature: '{SECRET}' does not match",
        f"sig%3D{SECRET} does not match",
        f"AWSAccessKeyId = {SECRET} does not exist",
        f"Authorization: Bearer {SECRET} was rejected",
        f"Bearer {SECRET} was rejected",
        f"Basic {SECRET[:9]}= was rejected",
        f"the token hf_{SECRET} was rejected",
        f"invalid password={SECRET[:4]}",
        f"no account for {SECRET}",
        f"no account for {SECRET[:4]}-{SECRET}.{SECRET}",
        f"no account for {'x' * 990} {SECRET}",
        f"to\u200bken={SECRET}",
        f"token\x1b[0m={SECRET[:6]}",
    ],
)
@pytest.mark.parametrize("form", ["text", "json", "xml", "html"])
def test_secrets_that_a_server_repeats_are_hidden(text: str, form: str) -> None:
    """Queries, credentials, whatever is named as a secret, and whatever looks like one."""
    escaped = text.replace("&", "&amp;").replace("\x1b[0m", "")
    body = {
        "text": text,
        "json": json.dumps({"message": text}),
        "xml": f"<Error><Message>{escaped}</Message></Error>",
        "html": f"<html><title>{escaped}</title></html>",
    }[form]
    found = server_message({}, body.encode())
    assert not any(SECRET[at : at + 4] in found for at in range(len(SECRET) - 4))


def test_names_of_files_models_and_codes_are_no_secrets() -> None:
    """Long words that people spelt are shown."""
    said = "SignatureDoesNotMatch: mistralai/Mistral-7B-Instruct-v0.3 has no UD-Q4_K_M.gguf-00001-of-00002"
    assert server_message({}, said.encode()) == said


@given(
    st.dictionaries(st.sampled_from(["content-type", "content-encoding"]), st.sampled_from(["text/html", "gzip", "x"])),
    st.sampled_from([b"", b"{", b"<html>", b"<Message>", b'{"error": "']),
    st.binary(max_size=300),
)
def test_any_body_gives_a_short_printable_text(headers: dict[str, str], start: bytes, rest: bytes) -> None:
    """Nothing that a server sends makes it fail, or reaches the terminal as a control character."""
    found = server_message(headers, start + rest)
    assert found.isprintable()
    assert len(found) <= MAX_LENGTH


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "unit", [b"<script", b"<!--", b"<title", b"<Message>", b"a-", b"https://a", b"\x1b]", b"token="]
)
def test_hostile_bodies_take_no_long_time(unit: bytes) -> None:
    """What repeats the beginning of a pattern without end is given up soon."""
    for kind in ("text/html", "text/plain", ""):
        assert len(server_message({"content-type": kind}, unit * (1 << 20))) <= MAX_LENGTH


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"abc" * 9, mtime=0)),
        ("x-gzip", gzip.compress(b"abc" * 9, mtime=0)),
        ("deflate", zlib.compress(b"abc" * 9)),
        ("deflate", zlib.compress(b"abc" * 9)[2:-4]),
        ("gzip, deflate", zlib.compress(gzip.compress(b"abc" * 9, mtime=0))),
        ("Identity", b"abc" * 9),
        ("", b"abc" * 9),
    ],
)
def test_codings_are_removed_up_to_a_limit(coding: str, body: bytes) -> None:
    """gzip, and deflate with and without its header; a bomb ends at the limit."""
    assert decoded({"content-encoding": coding}, body, 1000) == b"abc" * 9
    assert decoded({"content-encoding": "gzip"}, gzip.compress(bytes(1 << 20)), 1000) == bytes(1000)


def test_no_part_of_a_coded_body_passes_the_limit() -> None:
    """A second part, compressed on its own, does not begin where the first one has used the limit up."""
    body = gzip.compress(b"a" * 1000, mtime=0) + gzip.compress(bytes(1 << 20), mtime=0)
    assert decoded({"content-encoding": "gzip"}, body, 1000) == b"a" * 1000
