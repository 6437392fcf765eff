"""Which renderer shows a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from luci_dl.ui.jsonl import JsonLines
from luci_dl.ui.lines import Lines, Quiet
from luci_dl.ui.render_thread import Renderer
from luci_dl.ui.stream import Output, Stream

_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python itself writes into LC_CTYPE when it starts in the locale C."""


def choose(*, json: bool, quiet: bool, environ: Mapping[str, str], stdout_fd: int = 1, stderr_fd: int = 2) -> Renderer:
    """The renderer that the options and the terminal ask for."""
    output = standard_output(environ, stdout_fd, stderr_fd)
    if json:
        return JsonLines(output)
    if quiet:
        return Quiet(output)
    if not output.err.isatty() or environ.get("TERM") == "dumb":
        return Lines(output)
    from luci_dl.ui.bars import Bars  # here, because only a terminal is worth the time that loading rich takes

    return Bars(output, color=not environ.get("NO_COLOR"))


def standard_output(environ: Mapping[str, str], stdout_fd: int = 1, stderr_fd: int = 2) -> Output:
    """Where this process writes, in the signs that the terminal can show."""
    err = Stream(stderr_fd, _encoding(sys.stderr, stderr_fd, environ))
    bare = err.isatty() and environ.get("TERM") in ("linux", "dumb")  # the kernel's own console has no such glyphs
    return Output(Stream(stdout_fd, _encoding(sys.stdout, stdout_fd, environ)), err, emoji=err.shows("📥") and not bare)


def _encoding(stream: TextIO | None, fd: int, environ: Mapping[str, str]) -> str:
    """The encoding that Python found for a standard stream, which is None where that is closed.

    In the locale C Python goes on as if it were UTF-8; a terminal that was set to it is taken at its word.
    """
    kind = environ.get("LC_CTYPE")
    locale = environ.get("LC_ALL") or (kind not in _COERCED and kind) or environ.get("LANG")
    if locale in ("C", "POSIX") and os.isatty(fd):
        return "ascii"
    return (stream and stream.encoding) or "utf-8"
