"""Recognises texts that servers send in place of a file: pointers, web pages, error messages."""

from __future__ import annotations

import codecs
import json
import re
from enum import Enum

MAX_TEXT = 1 << 16
"""What begins later than this, and JSON that is longer, is not recognised, in bytes."""
_REFUSED = "The server may have refused the request, or the address is of something else. Open it in a browser."


class Text(Enum):
    """A kind of text.

    Attributes:
        words: what it is; continues "NAME is ...".
        hint: what the user can do.
    """

    POINTER = (
        "a Git LFS pointer",
        "Use the address of the file itself (on the Hub /resolve/, not /raw/), or the repository: hf:OWNER/REPO.",
    )
    PAGE = (
        "a web page",
        "You may have to log in there, or to sign in to this network first. Open the address in a browser.",
    )
    XML = "an XML document", _REFUSED
    ERROR = "an error message in JSON", _REFUSED
    JSON = "a JSON document", _REFUSED

    def __init__(self, words: str, hint: str) -> None:
        self.words = words
        self.hint = hint


_BEGINNINGS = (
    (Text.POINTER, rb"version https?://(?:git-lfs|hawser)\.github\.com/"),
    (Text.PAGE, rb"(?:<\?xml[^>]*>\s*)?(?><!--.*?-->\s*)*+<(?:!doctype|html|head|body|meta|script|title)\b"),
    (Text.XML, rb"<(?:\?xml|error)\b"),
)
_PATTERNS = [(text, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for text, pattern in _BEGINNINGS]
_ERROR_KEYS = {
    *("error", "errors", "error_code", "error_description", "errorcode", "errormessage", "errmsg", "exception"),
    *("code", "detail", "details", "fault", "message", "msg", "reason", "status", "statuscode", "success"),
}


def recognised(head: bytes) -> Text | None:
    """The kind of text that begins with these bytes; None for what can only be recognised as a whole, or not at all."""
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return next((kind for kind, pattern in _PATTERNS if pattern.match(text)), None)


def recognised_json(whole: bytes) -> Text | None:
    """Whether these bytes, all of a file, are an object or array in JSON."""
    if not whole.removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"{", b"[")):
        return None
    try:
        value = json.loads(whole.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    items = value if isinstance(value, list) else [value]
    keys = {key.casefold() for item in items if isinstance(item, dict) for key in item}
    return Text.ERROR if keys & _ERROR_KEYS else Text.JSON


def pointed_to(pointer: bytes) -> str:
    """The digest and the size in a Git LFS pointer, for people; empty if there are none."""
    found = re.findall(rb"^(oid sha256:[0-9a-f]{64}|size \d{1,20})\r?$", pointer, re.MULTILINE)
    return ", ".join(text.decode() for text in found[:2])
