"""Text and numbers as a person reads them, safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""`text` with all that a terminal could obey, hide or turn around as an escape: \x1b, \u202e, \n."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shown(value: object) -> str:
    """A value that was not expected, as code would write it, cut to what fits a message."""
    return repr(value)[:80]


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
