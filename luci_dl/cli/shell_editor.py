"""Edits the lines at luci's prompt: with TAB completion and a history that outlasts the shell."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from luci_dl.api.shell import append_history, replace_history
from luci_dl.errors import StorageError

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
            if len(lines) > 2 * MOST_LINES:
                replace_history(self._history, _bytes(lines[-MOST_LINES:]))
            return lines[-MOST_LINES:]
        return []

    def _remember(self, line: str) -> None:
        with contextlib.suppress(ImportError):
            import readline

            readline.add_history(line)
        with contextlib.suppress(StorageError):  # a full or read-only disk: the line is in this shell's history only
            append_history(self._history, _bytes([line]))


def _bytes(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
