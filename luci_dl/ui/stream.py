"""Text to file descriptors, bypassing Python's own buffers."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterable

from luci_dl.cancel import CTRL_C, heard_signals, never_stopped_by_output
from luci_dl.frozen import frozen
from luci_dl.text import printable
from luci_dl.ui.cells import CUT, cut_middle
from luci_dl.ui.plain import plain

_FULL: set[int] = set()
UNKNOWN_SIZE = os.terminal_size((80, 24))


class Stream:
    """One file descriptor to write to.

    Args:
        dumb: it is a terminal that cannot move its cursor.

    Attributes:
        gone: a write has found that the output can no longer be received.

    A write to a pipe that nobody reads may block forever, so it holds no lock that the end of the process needs, as
    `sys.stderr` would. Output that can no longer be received (a closed pipe, a closed terminal, a full disk) is
    dropped.
    """

    def __init__(self, fd: int, encoding: str = "utf-8", dumb: bool = False) -> None:
        self._fd = fd
        self.gone = False
        self._dumb = dumb
        self.encoding = encoding

    def showable(self, text: str) -> str:
        """`text` as this stream shows it: characters that its encoding lacks are escaped."""
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def shows(self, text: str) -> bool:
        return self.showable(text) == text

    def fit(self, text: str, columns: int) -> str:
        """`text` as this stream shows it, its middle cut out if it takes more than `columns` cells."""
        return cut_middle(self.showable(text), columns, CUT if self.shows(CUT) else "..")

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def can_draw(self) -> bool:
        """Whether this is a terminal that can move its cursor."""
        return self.isatty() and not self._dumb

    def may_draw(self) -> bool:
        """Whether the cursor may be moved now: other programs use the terminal while this one is in its background.

        In the background of a script, which has no job control, Ctrl+C is ignored.
        """
        if not self.can_draw() or CTRL_C not in heard_signals():
            return False
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # not the terminal that controls this process
            return True

    def size(self) -> os.terminal_size:
        """Columns and lines of the terminal, now."""
        try:
            size = os.get_terminal_size(self._fd)
        except OSError:
            return UNKNOWN_SIZE
        return size if size.columns and size.lines else UNKNOWN_SIZE

    def write(self, text: str) -> None:
        self.send(text.encode(self.encoding, "backslashreplace"))

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self.gone:
            try:
                with never_stopped_by_output():
                    rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # the descriptor was inherited non-blocking
                select.select([], [self._fd], [])
            except OSError as error:
                self.gone = True
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    _FULL.add(self._fd)


def is_full(fd: int) -> bool:
    """Whether a write of this process to the descriptor failed because its disk is full."""
    return fd in _FULL


@frozen
class Output:
    """Where a renderer writes: results to `out`, everything else to `err`, with words for emoji unless `emoji`."""

    out: Stream
    err: Stream
    emoji: bool = True

    def spell(self, lines: Iterable[str]) -> list[str]:
        """The lines as `err` can show them."""
        return [self.err.showable(line if self.emoji else plain(line)) for line in lines]

    def say(self, lines: Iterable[str]) -> None:
        self.err.write("".join(f"{line}\n" for line in self.spell(lines)))

    def results(self, lines: Iterable[str]) -> None:
        self.out.write("".join(f"{line}\n" for line in lines))

    def paths(self, paths: Iterable[str]) -> None:
        """Each path on its own line of `out`; to the byte unless that is a terminal."""
        for path in paths:
            if self.out.isatty():
                self.out.write(f"{printable(path)}\n")
            else:
                self.out.send(os.fsencode(path) + b"\n")
