from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from luci_dl.ui.bars import Bars
from luci_dl.ui.choose import choose
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


def test_the_options_beat_the_terminal(tty: int) -> None:
    """--json and --quiet mean the same everywhere."""
    environ = {"TERM": "xterm"}
    assert isinstance(choose(json=True, quiet=True, stderr_fd=tty, environ=environ), JsonLines)
    assert isinstance(choose(json=False, quiet=True, stderr_fd=tty, environ=environ), Quiet)


def test_bars_need_a_terminal_that_can_move_its_cursor(tty: int) -> None:
    """Without one, and on a dumb one, there are plain lines."""
    assert isinstance(choose(json=False, quiet=False, stderr_fd=tty, environ={"TERM": "xterm"}), Bars)
    assert isinstance(choose(json=False, quiet=False, stderr_fd=tty, environ={"TERM": "dumb"}), Lines)
    with open(os.devnull, "wb") as sink:
        assert isinstance(choose(json=False, quiet=False, stderr_fd=sink.fileno(), environ={"TERM": "xterm"}), Lines)


@pytest.mark.parametrize(("encoding", "words"), [("utf-8", "⚠️  Down"), ("ascii", "Warning: Down"), ("latin-1", "Warn")])
def test_the_encoding_decides_between_signs_and_words(encoding: str, words: str) -> None:
    """Where the stream cannot show emoji, words stand in their place; rich is not even imported without a terminal."""
    environ = os.environ | {"PYTHONIOENCODING": encoding}
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, env=environ, timeout=30, check=True)
    assert run.stderr.decode(encoding).startswith(words)


def test_the_linux_console_gets_words(tty: int) -> None:
    """Its encoding is UTF-8, but it has no glyphs for emoji."""
    renderer = choose(json=False, quiet=True, stderr_fd=tty, environ={"TERM": "linux"})
    assert isinstance(renderer, Quiet)
    assert not renderer._output.emoji
