"""What all parsers share: how they get bytes, and what they raise."""

from __future__ import annotations

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""Takes a count and an offset, returns up to that many bytes."""
BEGINNING = 512
"""The bytes that show whether a file is of another kind than its name says."""


class Damaged(Exception):
    """The bytes cannot be a whole file of the format; the text says why."""


class Unsupported(Exception):
    """luci cannot read the bytes, though they may be valid; the text says why."""
