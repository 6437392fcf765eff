"""The file names that a response suggests, by RFC 6266 and by where it came from. None of them is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^;"]*)')
_CHARSETS = ("utf-8", "iso-8859-1")


def suggested_names(headers: Mapping[str, str], redirected_to: str | None) -> tuple[str, ...]:
    """Names without folders, best first: that of Content-Disposition, and that at the end of a redirect's target."""
    names = [disposition_name(headers.get("content-disposition", ""))]
    if redirected_to:
        names.append(unquote(urlsplit(redirected_to).path.rpartition("/")[2]))
    return tuple(filter(None, names))


def disposition_name(value: str) -> str:
    """The file name in a Content-Disposition, without folders; empty if there is none."""
    found = {name.lower(): text.strip() for name, text in _PARAMETER.findall(f";{value}")}
    name = _extended(found.get("filename*", "")) or _plain(found.get("filename", ""))
    return re.split(r"[/\\]", name)[-1].strip()


def _extended(text: str) -> str:
    """Decode a value of RFC 5987: UTF-8''%e2%82%ac.gguf. Returns: empty if that is impossible."""
    charset, _, rest = text.strip('"').partition("'")
    try:
        return unquote(rest.partition("'")[2], charset.lower(), "strict") if charset.lower() in _CHARSETS else ""
    except UnicodeDecodeError:
        return ""


def _plain(text: str) -> str:
    """Unquote a value. Percent signs, UTF-8 and MIME words, which RFC 6266 forbids, are decoded as browsers do."""
    if text.startswith('"'):
        text = re.sub(r"\\(.)", r"\1", text[1:].removesuffix('"'))
    with suppress(UnicodeError):  # it is Latin-1
        text = text.encode("latin-1").decode()
    if "=?" in text:
        from email.errors import HeaderParseError  # rare
        from email.header import decode_header, make_header

        with suppress(UnicodeError, LookupError, HeaderParseError):
            text = str(make_header(decode_header(text)))
    return unquote(text.strip("'"))
