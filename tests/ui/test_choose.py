from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from luci_dl.ui.as_one import AsOne
from luci_dl.ui.bars import Bars
from luci_dl.ui.choose import choose, standard_output
from luci_dl.ui.jsonl import JsonLines
from luci_dl.ui.lines import Lines, Quiet

PROGRAM = """
import os, sys
from luci_dl.events import Stopped
from luci_dl.ui.choose import choose
choose(json=False, quiet=False, environ=os.environ)(Stopped(2))
assert "rich" not in sys.modules
"""


@pytest.fixture
def tty() -> Iterator[int]:
    master, slave = pty.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def test_the_options_override_the_terminal(tty: int) -> None:
    """--json and --quiet mean the same everywhere."""
    environ = {"TERM": "xterm"}
    assert isinstance(choose(json=True, quiet=True, stderr_fd=tty, environ=environ), JsonLines)
    assert isinstance(choose(json=False, quiet=True, stderr_fd=tty, environ=environ), Quiet)


def test_bars_need_a_terminal_that_can_move_its_cursor(tty: int) -> None:
    """Without one, and on a dumb one, there are plain lines."""
    with open(os.devnull, "wb") as sink:
        for fd, term, kind in ((tty, "xterm", Bars), (tty, "dumb", Lines), (sink.fileno(), "xterm", Lines)):
            chosen = choose(json=False, quiet=False, stderr_fd=fd, environ={"TERM": term})
            assert isinstance(chosen, AsOne)
            assert isinstance(chosen.renderer, kind)


@pytest.mark.parametrize(("encoding", "words"), [("utf-8", "⚠️  Down"), ("ascii", "Warning: Down"), ("latin-1", "Warn")])
def test_the_encoding_decides_between_emoji_and_words(encoding: str, words: str) -> None:
    """Where the stream cannot show emoji, words replace them; rich is not even imported without a terminal."""
    environ = os.environ | {"PYTHONIOENCODING": encoding}
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, env=environ, timeout=30, check=True)
    assert run.stderr.decode(encoding).startswith(words)


@pytest.mark.parametrize("term", ["linux", "dumb"])
def test_the_linux_console_and_a_dumb_terminal_get_words(tty: int, term: str) -> None:
    """Their encoding is UTF-8, but they may have no glyphs for emoji."""
    output = standard_output({"TERM": term}, stderr_fd=tty)
    assert (output.emoji, output.err.encoding) == (False, "utf-8")


@pytest.mark.parametrize("of_python", ["C.UTF-8", "C.utf8", "UTF-8"])
@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_terminal_in_the_c_locale_gets_ascii(tty: int, locale: str, of_python: str) -> None:
    """Even where Python chose UTF-8 for itself; a pipe gets Python's choice, because file names go through it."""
    for environ in ({"LANG": locale, "LC_CTYPE": of_python}, {"LC_ALL": locale}, {"LC_CTYPE": locale}):
        output = standard_output(environ, stdout_fd=tty, stderr_fd=tty)
        assert (output.emoji, output.out.encoding, output.err.encoding) == (False, "ascii", "ascii")
        with open(os.devnull, "wb") as sink:
            assert standard_output(environ, stderr_fd=sink.fileno()).err.encoding == "utf-8"


@pytest.mark.parametrize(
    "environ", [{}, {"LANG": "C", "LC_ALL": "en_GB.UTF-8"}, {"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}]
)
def test_a_terminal_without_a_locale_gets_emoji(tty: int, environ: dict[str, str]) -> None:
    """As in a container, where no locale is set; LC_ALL overrides LC_CTYPE, which overrides LANG."""
    assert standard_output(environ, stderr_fd=tty).emoji
