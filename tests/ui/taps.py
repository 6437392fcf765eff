"""Reads back what renderers write: from pipes, and from a pseudo-terminal as a person would see it."""

from __future__ import annotations

import os
import pty
import re
import select
import termios

from rich.cells import cell_len

from luci_dl.ui.stream import Output, Stream

TOKEN = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])|([^\x1b])")


class Taps:
    """An `Output` into two pipes; tests write too few bytes to fill them."""

    def __init__(self, encoding: str = "utf-8", emoji: bool = True) -> None:
        self._out, out = os.pipe()
        self._err, err = os.pipe()
        self._fds = (self._out, out, self._err, err)
        self.output = Output(Stream(out, encoding), Stream(err, encoding), emoji)

    def out(self) -> str:
        return read_all(self._out)

    def err(self) -> str:
        return read_all(self._err)

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)


class Terminal:
    """A real pseudo-terminal for both streams, and the screen that its output draws."""

    def __init__(self, columns: int = 80, lines: int = 24, encoding: str = "utf-8", emoji: bool = True) -> None:
        self._master, self.fd = pty.openpty()
        self.resize(columns, lines)
        stream = Stream(self.fd, encoding)
        self.output = Output(stream, stream, emoji)
        self.raw = ""
        self.cursor_shown = True
        self.widest = 0
        self._rows: list[list[str]] = [[]]
        """Each a list of cells; the second one of a wide character is empty."""
        self._row = self._column = 0

    def resize(self, columns: int, lines: int = 24) -> None:
        termios.tcsetwinsize(self.fd, (lines, columns))

    def read(self) -> str:
        """What was written since the last call; draws it."""
        text = read_all(self._master)
        self.raw += text
        for numbers, command, char in TOKEN.findall(text):
            if command:
                self._execute(command, numbers)
            else:
                self._put(char)
        return text

    def screen(self) -> list[str]:
        self.read()
        rows = ("".join(row).rstrip() for row in self._rows)
        return [row for row in rows if row]

    def close(self) -> None:
        os.close(self._master)
        os.close(self.fd)

    def _execute(self, command: str, numbers: str) -> None:
        match command:
            case "A":
                self._row = max(0, self._row - int(numbers))
            case "K" | "J":
                del self._rows[self._row][self._column :]
                if command == "J":
                    del self._rows[self._row + 1 :]
            case "h" | "l":
                self.cursor_shown = command == "h"
            case "m":
                pass
            case _:
                raise AssertionError(f"unexpected escape sequence {command!r}")

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._row += 1
            if self._row == len(self._rows):
                self._rows.append([])
        else:
            row, width = self._rows[self._row], cell_len(char)
            row += " " * (self._column - len(row))
            if width:
                row[self._column : self._column + width] = [char, ""][:width]
            else:
                row[self._column - 1] += char
            self._column += width
            self.widest = max(self.widest, self._column)


def read_all(fd: int) -> str:
    """Everything that can be read without waiting."""
    data = b""
    while select.select([fd], [], [], 0)[0]:
        data += os.read(fd, 65536)
    return data.decode("utf-8", "surrogateescape")


def full_pipe() -> tuple[int, int]:
    """Reading and writing end of a pipe that is full."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer
