"""Text and numbers as a person reads them, safe for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


def printable(text: str) -> str:
    r"""`text` with all that a terminal could obey, hide or turn around as an escape: \x1b, \u202e, \n."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shown(value: object) -> str:
    """A value that was not expected, as code would write it, cut to what fits a message."""
    return repr(value)[:80]


def quoted(data: bytes) -> str:
    r"""Bytes that should have been something else, in quotes: 'GGUF', '<!do', '\x00\xff'."""
    return repr(data).removeprefix("b")


def human_size(n: int, space: str = "") -> str:
    """Bytes in the unit that fits, with one decimal below ten: 512B, 9.8MB, 98MB, 2.0GB; `space` before the unit."""
    value, unit = float(n), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    whole = unit == "B" or value >= 9.95
    return f"{value:.0f}{space}{unit}" if whole else f"{value:.1f}{space}{unit}"


def counted(n: int, what: str) -> str:
    """1 file, 2 files."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def time_of_day(stamp: str, now: datetime | None = None) -> str:
    """An ISO time as hours and minutes here, with the date unless it is today's; other text as it stands."""
    today = here(stamp, "%Y-%m-%d") == (now or datetime.now().astimezone()).strftime("%Y-%m-%d")
    return here(stamp, "%H:%M" if today else "%Y-%m-%d %H:%M")


def here(stamp: str, form: str) -> str:
    """An ISO time as it is called here, in strftime's `form`; other text as it stands."""
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime(form)
    except (ValueError, OverflowError):
        return stamp


def nearest(word: str, candidates: Iterable[str], n: int) -> tuple[str, ...]:
    """Up to `n` candidates that look like the word, the nearest first."""
    from difflib import get_close_matches  # costs start-up time, and most words are spelt right

    return tuple(get_close_matches(word.casefold()[:100], list(candidates), n))
