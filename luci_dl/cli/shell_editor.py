"""Edits the lines at luci's prompt: with TAB completion and a history that outlasts the shell."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from luci_dl.api.shell import append_history, replace_history
from luci_dl.cli.child import public_words
from luci_dl.errors import StorageError
from luci_dl.text import public_text

MOST_LINES = 1000
"""Lines of history that are kept; the file is cut when it has twice as many."""
DELIMITERS = " \t\n\"'="


class Editor:
    """Reads lines. Arrow keys and TAB need a Python with readline.

    Args:
        history: the file of earlier lines; created with the first one.
        complete: returns the completions of the last word of a line.
    """

    def __init__(self, history: Path, complete: Callable[[str], Sequence[str]]) -> None:
        self._history = history
        self._complete_line = complete
        self._completions: Sequence[str] = ()
        self._last = ""
        with contextlib.suppress(ImportError):
            self._set_up()

    def read(self, prompt: str) -> str:
        """The next line. Raises: EOFError, at the end of the input; KeyboardInterrupt."""
        line = input(prompt).strip()
        if line and line != self._last:
            self._last = line
            self._remember(line)
        return line

    def _set_up(self) -> None:
        import readline

        libedit = "libedit" in (readline.__doc__ or "")  # Python's of macOS
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
        readline.set_completer_delims(DELIMITERS)
        readline.set_completer(self._complete)
        readline.set_auto_history(False)  # `_remember` adds the lines, without repetitions
        readline.clear_history()
        for line in self._load():
            readline.add_history(line)
            self._last = line

    def _complete(self, _word: str, number: int) -> str | None:
        """Called by readline with 0, 1, 2... until there are no more completions."""
        if number == 0:
            import readline

            self._completions = self._complete_line(readline.get_line_buffer()[: readline.get_endidx()])
        return self._completions[number] if number < len(self._completions) else None

    def _load(self) -> list[str]:
        with contextlib.suppress(OSError, StorageError):
            lines = self._history.read_text(errors="surrogateescape").splitlines()
            public = list(map(_public, lines[-MOST_LINES:]))
            if len(lines) > 2 * MOST_LINES or public != lines[-MOST_LINES:]:
                replace_history(self._history, _bytes(public))
            return public
        return []

    def _remember(self, line: str) -> None:
        with contextlib.suppress(ImportError):
            import readline

            readline.add_history(line)
        with contextlib.suppress(StorageError):  # a full or read-only disk: the line is in this shell's history only
            append_history(self._history, _bytes([_public(line)]))


def _public(line: str) -> str:
    """The line without the secrets in its addresses and request headers."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote is never closed
        return public_text(line.partition("--header")[0])
    return line if public_words(words) == words else shlex.join(public_words(words))


def _bytes(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
