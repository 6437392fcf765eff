"""Text and numbers for people, safe to print on a terminal."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from datetime import datetime

_ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""By the byte order mark at the beginning of a file."""
SAVE_AS_UTF8 = "Save the file as UTF-8."
MOST_BYTES = 10**18
"""More than a disk has, and less than overflows a system call."""
_HOST = re.compile(r"(?:\[[^]]*\]|[^][:@/?#\\]*)(?::[0-9]+)?(?:[/?#\\]|$)")
_QUERY = re.compile(r"\?([^#]*)")
_HASH = re.compile(r"\.\.\.[0-9a-f]{6}")
_ADDRESS = re.compile(r"(?<!file)://\S+")
_WORD_QUERY = re.compile(r"(?<=[\w/.-])([?#])(?!sha256=)[\w%.~+-]+=[^\s\"'`<>)\]]*")
_WORD_PASSWORD = re.compile(r"(?:(?<![\w/:.@-])|(?<=[^:/]//))(?!hf:)[\w.+-]+:[^\s/@\"']+@(?=[\w-]+(?:\.[\w-]+)+[/:])")
"""In what should be an address, but lacks its scheme."""
_AFTER_ADDRESS = ".,:;!\"'`)]}>"


def decoded(data: bytes) -> str:
    """The text of a file that the user wrote: UTF-8, or what its byte order mark says.

    Raises: ValueError, which names the line of a byte that is none of it.
    """
    encoding = next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(_not_utf8(data, error.start)) from error
    if "\0" in text:
        raise ValueError(_not_utf8(data, data.index(b"\0")))
    return text


def _not_utf8(data: bytes, at: int) -> str:
    line = data.count(b"\n", 0, at) + 1
    return f"line {line} is not UTF-8: it has the byte 0x{data[at]:02x}"


def printable(text: str) -> str:
    r"""`text` with control, invisible and direction-changing characters as escapes: \x1b, \u202e, \n."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def public_address(url: str) -> str:
    """An address without credentials, query and fragment: each may be as good as a password."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        return url
    while "@" in rest and not _HOST.match(rest):
        rest = rest.partition("@")[2]
    return scheme + separator + re.split(r"[?#]", rest, maxsplit=1)[0]


def distinct_address(url: str) -> str:
    """The public address, with a short hash in place of the query: to distinguish addresses that differ only in it."""
    query = _QUERY.search(url) if "://" in url and not url.startswith("file:") else None
    if not (query and query[1]):
        return public_address(url)
    if _HASH.fullmatch(query[1]):
        return f"{public_address(url)}?{query[1]}"
    from hashlib import sha256  # slow to load, and rarely needed

    return f"{public_address(url)}?...{sha256(query[1].encode(errors='replace')).hexdigest()[:6]}"


def has_hidden_query(url: str) -> bool:
    """Whether it is a `distinct_address` that was made from an address with a query."""
    query = _QUERY.search(url)
    return bool(query and _HASH.fullmatch(query[1]))


def public_text(text: str) -> str:
    """Text in which every address is public, or distinct where it was; one without a scheme, too."""
    text = _ADDRESS.sub(_made_public, text) if "://" in text else text
    text = _WORD_PASSWORD.sub("", text) if "@" in text else text
    return _WORD_QUERY.sub(r"\1...", text) if "=" in text else text


def _made_public(found: re.Match[str]) -> str:
    address = found[0].rstrip(_AFTER_ADDRESS)
    made = distinct_address(address) if has_hidden_query(address) else public_address(address)
    return made + found[0][len(address) :]


def shown(value: object) -> str:
    """An unexpected value for a message, as code would write it, cut to 80 characters."""
    return repr(value)[:80]


def quoted(data: bytes) -> str:
    r"""Unexpected bytes for a message, in quotes: 'GGUF', '<!do', '\x00\xff'."""
    return repr(data).removeprefix("b")


def human_size(n: int, space: str = "") -> str:
    """Bytes in a suitable unit, with one decimal below ten: 512B, 9.8MB, 98MB, 2.0GB; `space` goes before the unit."""
    value, unit = float(n), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    whole = unit == "B" or value >= 9.95
    return f"{value:.0f}{space}{unit}" if whole else f"{value:.1f}{space}{unit}"


def counted(n: int, what: str) -> str:
    """A number and its noun: 1 file, 2 files."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def time_of_day(stamp: str, now: datetime | None = None) -> str:
    """An ISO time as local hours and minutes, with the date unless it is today; any other text unchanged."""
    today = local_time(stamp, "%Y-%m-%d") == (now or datetime.now().astimezone()).strftime("%Y-%m-%d")
    return local_time(stamp, "%H:%M" if today else "%Y-%m-%d %H:%M")


def local_time(stamp: str, form: str) -> str:
    """An ISO time in the local time zone, in strftime's format `form`; any other text unchanged."""
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime(form)
    except (ValueError, OverflowError):
        return stamp


def nearest(word: str, candidates: Iterable[str], n: int) -> tuple[str, ...]:
    """Up to `n` candidates that are spelt like the word, the nearest first."""
    from difflib import get_close_matches  # slow to load, and rarely needed

    return tuple(get_close_matches(word.casefold()[:100], list(candidates), n))


def did_you_mean(*near: str) -> str:
    """The end of a message about a misspelt word: "; did you mean this, that?"; empty where nothing is near."""
    words = ", ".join(map(printable, filter(None, near)))
    return f"; did you mean {words}?" if words else ""


def cut(text: str) -> str:
    """Printable text of any length for a message: its first 200 characters."""
    shown = printable(text)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."
