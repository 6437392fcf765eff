"""What a server says about an error, from the body of its response: one short sentence without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from html import unescape

from luci_dl.formats.texts import Text, recognised
from luci_dl.net.coding import decoded
from luci_dl.net.sent_secrets import without_sent

MAX_LENGTH = 200
_MAX_BYTES = 1 << 16
_MAX_HTML = 8192
"""How much of a body is looked at."""
_MAX_LINE = 1000
_TEXT_SHARE = 0.8
"""The share of a body that must be UTF-8. Text in Latin-1 has that much; what is compressed has far less."""
_MAX_DEPTH = 5
_JSON_KEYS = ("error_description", "message", "detail", "msg", "faultstring", "error", "errors", "fault", "title")
"""Where APIs say what is wrong; the most telling first."""
_S3_CODE = re.compile(rb"<Error>\s*<Code>\s*([A-Za-z0-9]{1,60})")
_XML_TAGS = ("message", "details", "code")
_HIDDEN_HTML = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]*)", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_TERMINAL_SEQUENCE = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*.", re.DOTALL)
_SENTENCE = re.compile(r".*?[.!?](?=\s|$)")

_HIDDEN = "..."
_SECRETS = (
    (re.compile(r"(?<=://)[^\s/@]*@"), ""),
    (re.compile(r"(?<=[^\s?])\?[^\s\"'<>]+"), f"?{_HIDDEN}"),
    (
        re.compile(
            r"([\w-]{0,40}(?:signature|sig|token|secret|passw(?:or)?d|credential|authorization|policy|cookie|session"
            r"|key[_-]?id|access[_-]?key|api[_-]?key|keyid)s?)([\"']?\s*(?:[:=]|%3[ad])\s*)"
            r"(?:(?:bearer|basic|token)\s+)?\S+",
            re.IGNORECASE,
        ),
        rf"\1\2{_HIDDEN}",
    ),
    (re.compile(r"\b((?:bearer|basic)\s+)(?=\S*[^\sa-z.,;:!?])\S{6,}", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(r"\S*\b(?:hf_|gh[a-z]_|sk-|AKIA|ASIA)[A-Za-z0-9]{8,}\S*"), _HIDDEN),
    (re.compile(r"\S*?(?:[A-Za-z0-9]{24}|(?=[a-z]*[0-9])(?=[0-9]*[a-z])[a-z0-9]{16})\S*", re.IGNORECASE), _HIDDEN),
)
"""Patterns of secrets, each with its replacement: in addresses, after a telling name, and long random-looking words."""


def server_message(headers: Mapping[str, str], body: bytes) -> str:
    """The first sentence of a server's own explanation, safe to show; "" when it gives none.

    Args:
        headers: of the response, by lower-case name.
        body: its beginning is enough.
    """
    body = body[:_MAX_BYTES]
    with suppress(ValueError):  # a body without the coding that its header names
        body = decoded(headers, body, _MAX_BYTES)
    text = body.decode("utf-8", "ignore")
    if len(text.encode()) < _TEXT_SHARE * len(body):
        return ""
    text = text.lstrip("\ufeff").strip()
    kind = headers.get("content-type", "").lower()
    for candidate in _candidates(text, "html" if recognised(body) is Text.PAGE else kind):
        if sentence := _sentence(candidate):
            return sentence
    return ""


def error_code(body: bytes) -> str:
    """The `error` of a JSON object, or the `Code` of an error of S3; "" if there is none that is a text."""
    if in_xml := _S3_CODE.search(body):
        return in_xml[1].decode()
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = found.get("error") if isinstance(found, dict) else None
    return code if isinstance(code, str) else ""


def _candidates(text: str, kind: str) -> Iterator[str]:
    """The texts in which the explanation may be, the most likely first."""
    if text[:1] in ("{", "["):
        yield from map(_collapsed, _in_json(text))
    elif "html" in kind:
        yield from (_collapsed(unescape(title)) for title in _TITLE.findall(text[:_MAX_HTML])[:1])
        yield unescape(_TAG.sub("\n", _HIDDEN_HTML.sub("", text[:_MAX_HTML])))
    elif text.startswith("<"):
        for tag in _XML_TAGS:
            found = re.search(rf"<(?:\w+:)?{tag}\b[^<>]*>\s*(?:<!\[CDATA\[)?([^<]*)", text, re.IGNORECASE)
            yield _collapsed(unescape(found[1].removesuffix("]]>"))) if found else ""
    elif not kind or kind.startswith("text/"):
        yield text


def _in_json(text: str) -> Iterator[str]:
    try:
        yield from _texts(json.loads(text), _MAX_DEPTH)
    except (ValueError, RecursionError):
        return


def _texts(value: object, depth: int) -> Iterator[str]:
    """The texts under the keys that explain errors."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for item in value[:3]:
            yield from _texts(item, depth - 1)
    elif isinstance(value, dict) and depth:
        for key in _JSON_KEYS:
            yield from _texts(value.get(key), depth - 1)


def _sentence(text: str) -> str:
    """The first sentence, printable and without secrets, cut to `MAX_LENGTH`."""
    plain = _TERMINAL_SEQUENCE.sub("", text)
    lines = ("".join(char for char in _collapsed(line) if char.isprintable()) for line in plain.splitlines())
    line = next((line.strip() for line in lines if any(map(str.isalnum, line))), "")
    if len(line) > _MAX_LINE:
        line = line[:_MAX_LINE].rpartition(" ")[0]  # half a secret could not be recognised
    line = without_sent(line)
    for secret, replacement in _SECRETS:
        line = secret.sub(replacement, line)
    sentence = found[0] if (found := _SENTENCE.match(line)) else line
    return sentence if len(sentence) <= MAX_LENGTH else f"{sentence[: MAX_LENGTH - 1]}…"


def _collapsed(text: str) -> str:
    return " ".join(text.split())
