"""`luci shell`: each command that is typed runs in a child process."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import termios
from collections.abc import Callable, Iterator

import click

from luci_dl.api.config import home_of
from luci_dl.cancel import CTRL_C, die_of, signal_name
from luci_dl.cli import options, session
from luci_dl.cli.child import run_in_foreground
from luci_dl.cli.shell_completion import LEAVE, complete_line
from luci_dl.cli.shell_editor import Editor
from luci_dl.cli.shell_signals import at_a_prompt, typing
from luci_dl.errors import LuciError, UsageError

PROMPT = "LuciferAI> "
HISTORY = "shell_history"

_AT_THE_PROMPT = """\b
At the prompt:
  install llama3.2        the same words as after `luci`
  help, help install      the commands, or how to use one
  TAB, arrow keys         complete the line, go back to earlier lines
  Ctrl+C                  interrupt the running command, or clear the line
  Ctrl+Z                  stop the shell and the running command
  Ctrl+D, exit            leave
"""


@click.command(epilog=options.examples("luci shell", "luci shell < commands.txt", more=_AT_THE_PROMPT))
def command() -> int:
    """Open a prompt that takes the same words as `luci`.

    Without a terminal the commands are read from stdin, one per line. All of them are run; the exit code is that of
    the first one that failed.
    """
    if sys.stdin is None:  # closed by the parent process
        return 0
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    if os.isatty(0):
        return _converse()
    codes = [_obey(line, deadly=lambda _signum: True) for line in _script()]
    return next(filter(None, codes), 0)


def _script() -> Iterator[str]:
    for line in sys.stdin:
        if line.strip() in LEAVE:
            return
        yield line


def _converse() -> int:
    """Run commands until the user leaves."""
    read, output = _reader(), session.output()
    output.say(["`help` shows the commands, `exit` or Ctrl+D leaves."])
    restore = _terminal_restorer()
    with at_a_prompt(restore):
        while True:
            try:
                with typing(restore):
                    line = read()
                if line.strip() in LEAVE:
                    return 0
                _obey(line, deadly=lambda signum: signum != CTRL_C)
            except KeyboardInterrupt:
                output.err.write("\n")
            except (EOFError, OSError):  # Ctrl+D, or the terminal is gone
                output.err.write("\n")
                return 0


def _reader() -> Callable[[], str]:
    """A function that reads the next line. Raises: UsageError"""
    if os.isatty(1):
        editor = Editor(home_of(os.environ) / HISTORY, complete_line)
        return lambda: editor.read(PROMPT)

    def read() -> str:
        session.output().err.write(PROMPT)  # stdout is redirected: it gets the results alone
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line

    return read


def _terminal_restorer() -> Callable[[], None]:
    """A function that restores the terminal's current modes: the line editor changes them."""
    modes = termios.tcgetattr(0)

    def restore() -> None:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, modes)

    return restore


def _obey(line: str, *, deadly: Callable[[int], bool]) -> int:
    """Run the command, and die of the first `deadly` signal that arrives meanwhile. Returns: its exit code."""
    try:
        words = _words(line)
        if not words:
            return 0
        if words == ["shell"]:
            raise UsageError("already in the luci shell", "`exit` leaves it.")
        code, received = run_in_foreground(words)
    except LuciError as error:
        return session.report(error)
    for signum in filter(deadly, received):
        die_of(signum)
    if code >= 0:
        return code
    if -code not in (CTRL_C, *received):
        what = f"the command was killed by {signal_name(-code)}"
        session.report(LuciError(what, "`luci clean` removes what it left behind."))
    return 128 - code


def _words(line: str) -> list[str]:
    """The command's words, without a `luci` before them. Raises: UsageError"""
    line = line.strip()
    if line.startswith("#"):
        return []
    if "\0" in line:
        raise UsageError("the line contains a NUL character")
    try:
        words = shlex.split(line)
    except ValueError:
        what = "a backslash ends the line" if line.endswith("\\") else "a quote is opened and never closed"
        raise UsageError(what, "Close the quote, or put a backslash before a literal one.") from None
    return words[1:] or ["help"] if words[:1] == ["luci"] else words
