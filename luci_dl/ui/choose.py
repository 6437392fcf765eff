"""Chooses the renderer of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from luci_dl.ui.stream import Output, Stream

if TYPE_CHECKING:
    from luci_dl.ui.render_thread import Renderer

_DUMB = ("dumb", "unknown")
"""What TERM says of a terminal that cannot move its cursor."""
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python itself writes into LC_CTYPE when it starts in the C locale."""


def choose(*, json: bool, quiet: bool, environ: Mapping[str, str], stdout_fd: int = 1, stderr_fd: int = 2) -> Renderer:
    """The renderer for these options and this terminal. The others are not loaded, and none by `standard_output`."""
    output = standard_output(environ, stdout_fd, stderr_fd)
    if json:
        from luci_dl.ui.jsonl import JsonLines

        return JsonLines(output)
    from luci_dl.ui.lines import Lines, Quiet

    if quiet:
        return Quiet(output)
    from luci_dl.ui.as_one import AsOne

    if not output.err.can_draw():
        return AsOne(Lines(output))
    from luci_dl.ui.bars import Bars

    return AsOne(Bars(output, color=not environ.get("NO_COLOR")))


def standard_output(environ: Mapping[str, str], stdout_fd: int = 1, stderr_fd: int = 2) -> Output:
    """Where this process writes, with emoji if the terminal can show them."""
    dumb = environ.get("TERM") in _DUMB
    out = Stream(stdout_fd, _encoding(sys.stdout, stdout_fd, environ), dumb)
    err = Stream(stderr_fd, _encoding(sys.stderr, stderr_fd, environ), dumb)
    bare = err.isatty() and (dumb or environ.get("TERM") == "linux")  # the Linux console has no emoji glyphs
    return Output(out, err, emoji=err.shows("📥") and not bare)


def _encoding(stream: TextIO | None, fd: int, environ: Mapping[str, str]) -> str:
    """The encoding that Python chose for a standard stream, which is None if it is closed.

    In the C locale Python assumes UTF-8 nevertheless; a terminal that was set to the C locale gets ASCII.
    """
    kind = environ.get("LC_CTYPE")
    locale = environ.get("LC_ALL") or (kind not in _COERCED and kind) or environ.get("LANG")
    if locale in ("C", "POSIX") and os.isatty(fd):
        return "ascii"
    return (stream and stream.encoding) or "utf-8"
