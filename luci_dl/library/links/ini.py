"""Sections of an INI file, changed without touching the rest of it."""

from __future__ import annotations

import re

_HEAD = re.compile(r"^\[([^\]\n]*)\][^\n]*\n?", re.MULTILINE)


def section(text: str, name: str) -> str | None:
    """The lines of the section, without blank ones at its end; None if there is none."""
    span = _span(text, name)
    return None if span is None else text[span[1] : span[2]].rstrip("\n") + "\n"


def with_section(text: str, name: str, lines: str) -> str:
    """The text with the section replaced, or added at the end."""
    span = _span(text, name)
    if span is None:
        return f"{text.rstrip(chr(10))}\n\n[{name}]\n{lines}".lstrip("\n")
    return f"{text[: span[1]]}{lines}\n{text[span[2] :]}".rstrip("\n") + "\n"


def without(text: str, name: str) -> str:
    """The text without the section."""
    span = _span(text, name)
    return text if span is None else f"{text[: span[0]]}{text[span[2] :]}".rstrip("\n") + "\n"


def _span(text: str, name: str) -> tuple[int, int, int] | None:
    """Where the section's head begins, where its lines begin, and where they end."""
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    spans = {head[1].strip(): (head.start(), head.end(), end) for head, end in zip(heads, ends, strict=False)}
    return spans.get(name)
