"""Which renderer shows a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TextIO

from luci_dl.ui.jsonl import JsonLines
from luci_dl.ui.lines import Lines, Quiet
from luci_dl.ui.pump import Renderer
from luci_dl.ui.stream import Output, Stream


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
    err = Stream(stderr_fd, _encoding(sys.stderr))
    bare_console = err.isatty() and environ.get("TERM") == "linux"  # the kernel's own has no glyphs for emoji
    return Output(Stream(stdout_fd, _encoding(sys.stdout)), err, emoji=err.shows("📥") and not bare_console)


def _encoding(stream: TextIO | None) -> str:
    """The encoding that Python found for a standard stream, which is None where that is closed."""
    return (stream and stream.encoding) or "utf-8"
