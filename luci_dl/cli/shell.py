"""`luci shell`."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import termios
import traceback
from collections.abc import Callable, Iterator

import click

from luci_dl.cancel import CTRL_C, at_a_prompt, typing
from luci_dl.cli import session
from luci_dl.cli.editor import Editor
from luci_dl.cli.line import complete_line
from luci_dl.config.settings import home_of
from luci_dl.errors import LuciError, UsageError

PROMPT = "LuciferAI> "
LEAVE = ("exit", "quit")
HISTORY = "shell_history"

EPILOG = """\b
Examples:
  luci shell
  luci shell < commands.txt

\b
At the prompt:
  install llama3.2        the same words as after `luci`
  help, help install      what there is
  TAB, arrow keys         complete, and go back to what was typed before
  Ctrl+C                  interrupt the command that runs, or clear the line
  Ctrl+D, exit            leave
"""


@click.command(epilog=EPILOG)
def command() -> int:
    """Open a prompt that takes the same words as `luci`: install llama3.2, list, clean, help, exit.

    Without a terminal the commands are read from the input, one a line; all are tried, and the exit code is that of
    the first that failed.
    """
    if session.is_at_prompt():
        return session.report(UsageError("this is luci's prompt already", "`exit` leaves it."))
    if sys.stdin is None:  # closed by whoever started luci
        return 0
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    if os.isatty(0):
        return _converse()
    codes = [_obey(line) for line in _script()]
    return next(filter(None, codes), 0)


def _script() -> Iterator[str]:
    for line in sys.stdin:
        if line.strip() in LEAVE:
            return
        yield line


def _converse() -> int:
    """Take commands until the user leaves."""
    try:
        read = _reader()
    except LuciError as error:
        return session.report(error)
    output = session.output()
    output.say(["`help` shows the commands, `exit` or Ctrl+D leaves."])
    put_back = _terminal_keeper()
    with at_a_prompt(put_back), session.at_prompt():
        while True:
            try:
                with typing(put_back):
                    line = read()
                if line.strip() in LEAVE:
                    return 0
                _obey(line)
            except KeyboardInterrupt:
                output.err.write("\n")
            except (EOFError, OSError):  # Ctrl+D, or the terminal is gone
                output.err.write("\n")
                return 0


def _reader() -> Callable[[], str]:
    """Reads the next line. Raises: UsageError"""
    if os.isatty(1):
        editor = Editor(home_of(os.environ) / HISTORY, complete_line)
        return lambda: editor.read(PROMPT)

    def read() -> str:
        session.output().err.write(PROMPT)  # the output is for somebody else
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line

    return read


def _terminal_keeper() -> Callable[[], None]:
    """Puts the terminal back to how it is now: while a line is typed, it is the editor's own."""
    modes = termios.tcgetattr(0)

    def put_back() -> None:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, modes)

    return put_back


def _obey(line: str) -> int:
    """Run the command. Returns: its exit code; that of a bug is 1, after its traceback."""
    from luci_dl.cli.main import run

    try:
        words = _words(line)
        return run(words) if words else 0
    except LuciError as error:
        return session.report(error)
    except (KeyboardInterrupt, click.Abort):
        return 128 + CTRL_C
    except Exception:  # noqa: BLE001 - a bug, shown as such; the prompt goes on
        traceback.print_exc()
        return 1


def _words(line: str) -> list[str]:
    """The command's words, without a `luci` before them. Raises: UsageError"""
    line = line.strip()
    if line.startswith("#"):
        return []
    if "\0" in line:
        raise UsageError("there is a NUL character in the line")
    try:
        words = shlex.split(line)
    except ValueError:
        what = "a backslash ends the line" if line.endswith("\\") else "a quote is opened and never closed"
        raise UsageError(what, "Close it, or put a backslash before a quote that is meant as such.") from None
    return words[1:] or ["help"] if words[:1] == ["luci"] else words
