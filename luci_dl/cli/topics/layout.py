"""Text in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 80
_TERM_MAX = 30


def text(paragraph: str, indent: int = 0) -> list[str]:
    """The paragraph as lines, and an empty line after it."""
    return [*_wrapped(paragraph, indent), ""]


def heading(title: str) -> list[str]:
    """A title, as those of `luci --help`."""
    return [f"{title}:", ""]


def block(lines: str) -> list[str]:
    """Lines that stay as they are, indented, and an empty line after them."""
    return [*textwrap.indent(lines.rstrip("\n"), "  ").splitlines(), ""]


def table(rows: Iterable[tuple[str, str]], indent: int = 2) -> Iterator[str]:
    """Terms with their meanings beside them, or below one that is long; an empty line after all."""
    rows, space = list(rows), " " * indent
    width = max((len(term) for term, _ in rows if len(term) <= _TERM_MAX), default=0)
    for term, meaning in rows:
        first, *others = _wrapped(meaning, indent + width + 2)
        if len(term) <= width:
            yield f"{space}{term:<{width}}  {first.lstrip()}"
        else:
            yield from (space + term, first)
        yield from others
    yield ""


def first_paragraph(docstring: str | None) -> str:
    """What a docstring begins with, on one line; "" if there is none."""
    return " ".join((docstring or "").strip().partition("\n\n")[0].split())


def _wrapped(paragraph: str, indent: int) -> list[str]:
    words = " ".join(paragraph.split())
    space = " " * indent
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )
