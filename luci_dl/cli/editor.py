"""Lines typed at a terminal: edited, completed with TAB, and remembered from one time to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from luci_dl.disk import fs
from luci_dl.errors import StorageError

MOST_LINES = 1000
"""So many lines are remembered; the file may have twice as many before it is cut."""
DELIMITERS = " \t\n\"'="


class Editor:
    """Reads lines. Where Python came without readline, neither the arrow keys nor TAB do anything.

    Args:
        history: the file of what was typed before; made when there is something to remember.
        ways_on: what the line so far may be completed to: its last word, each with what comes before.
    """

    def __init__(self, history: Path, ways_on: Callable[[str], Sequence[str]]) -> None:
        self._history = history
        self._ways_on = ways_on
        self._found: Sequence[str] = ()
        self._last = ""
        with contextlib.suppress(ImportError):
            self._set_up()

    def read(self, prompt: str) -> str:
        """The next line. Raises: EOFError, at its end; KeyboardInterrupt."""
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
        readline.set_auto_history(False)  # or the answers to questions would be remembered, too
        readline.clear_history()
        for line in self._recall():
            readline.add_history(line)
            self._last = line

    def _complete(self, _word: str, number: int) -> str | None:
        """What readline asks for, with 0, 1, 2... until there is no more."""
        if number == 0:
            import readline

            self._found = self._ways_on(readline.get_line_buffer()[: readline.get_endidx()])
        return self._found[number] if number < len(self._found) else None

    def _recall(self) -> list[str]:
        with contextlib.suppress(OSError, StorageError):
            lines = self._history.read_text(errors="surrogateescape").splitlines()
            if len(lines) > 2 * MOST_LINES:
                fs.write_file(self._history, _bytes(lines[-MOST_LINES:]), keep_mode=True)
            return lines[-MOST_LINES:]
        return []

    def _remember(self, line: str) -> None:
        with contextlib.suppress(ImportError):
            import readline

            readline.add_history(line)
        with contextlib.suppress(StorageError):  # a disk that is full or read-only: the line is known until the end
            fs.make_folder(self._history.parent)
            fs.append(self._history, _bytes([line]))


def _bytes(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
