"""Text measured in cells, the columns of a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import category, east_asian_width

CUT = "…"
EMOJI_STYLE = "\ufe0f"
"""Makes the character before it an emoji, which is two cells wide in most terminals."""


def cells(text: str) -> int:
    """The cells that printable text takes; terminals differ on joined emoji, so the most that any of them needs."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def pad(text: str, columns: int) -> str:
    """`text`, followed by spaces up to `columns` cells."""
    return text + " " * (columns - cells(text))


def cut_middle(text: str, columns: int, mark: str = CUT) -> str:
    """`text` in at most `columns` cells; its end, which has a file's quantisation, stays readable."""
    if cells(text) <= columns:
        return text
    room = max(0, columns - cells(mark))
    clusters = _clusters(text)
    head = _beginning(clusters, room // 3)
    tail = _beginning(reversed(clusters), room - sum(map(cells, head)))
    return "".join([*head, mark[:columns], *reversed(tail)])


def _cells_of(char: str) -> int:
    if (category(char) in ("Mn", "Me") and char != EMOJI_STYLE) or "\u1160" <= char <= "\u11ff":
        return 0  # combined with the character before, as are vowels and final consonants of decomposed Hangul
    return 2 if east_asian_width(char) in "WF" else 1


def _clusters(text: str) -> list[str]:
    """The characters, each with those that are combined with it."""
    clusters: list[str] = []
    for char in text:
        if clusters and (char == EMOJI_STYLE or not _cells_of(char)):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def _beginning(clusters: Iterable[str], columns: int) -> list[str]:
    """As many of them, from the first on, as fit into `columns`."""
    fitting: list[str] = []
    for cluster in clusters:
        columns -= cells(cluster)
        if columns < 0:
            break
        fitting.append(cluster)
    return fitting
