"""Run luci as a user does: as a child process, with pipes or in a terminal."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

ROOT = Path(__file__).parent.parent
LUCI = [sys.executable, "-P", "-m", "luci_dl"]
IN_TERMINAL = ["sh", "-c", 'tty=$1; shift; exec "$@" <"$tty" >"$tty" 2>"$tty"', "sh"]
"""The leader of a new session that opens a terminal gets it as its own: then Ctrl+C reaches it."""

T = TypeVar("T")


def luci(
    *args: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run `luci ARGS...` to its end, without a terminal; `env` comes on top of the environment."""
    return subprocess.run(
        [*LUCI, *map(str, args)],
        env=_environment(env),
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


class Spawned:
    """A running `luci ARGS...`, killed at the end of the `with` block if it still runs.

    Args:
        terminal: run it in a pseudo-terminal of its own, where `out` gets everything and `press("\\x03")` is Ctrl+C.
        env: comes on top of the environment.
        command: run this in place of luci.
        columns: of the terminal.
    """

    def __init__(
        self,
        *args: str | Path,
        terminal: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        command: Sequence[str] = LUCI,
        columns: int = 120,
    ) -> None:
        argv = [*command, *map(str, args)]
        pairs = [os.openpty()] if terminal else [os.pipe(), os.pipe()]
        self._readers = [_Reader(reader) for reader, _ in pairs]
        self._writers = [writer for _, writer in pairs]
        if terminal:
            fcntl.ioctl(self._writers[0], termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            argv = [*IN_TERMINAL, os.ttyname(self._writers[0]), *argv]
        self.process = subprocess.Popen(
            argv,
            env=_environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._writers[0],
            stderr=self._writers[-1],
            start_new_session=terminal,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        """What stdout, or the terminal, got so far."""
        return self._readers[0].text()

    @property
    def err(self) -> str:
        """What stderr, or the terminal, got so far."""
        return self._readers[-1].text()

    def press(self, keys: str) -> None:
        """Type into the terminal."""
        os.write(self._readers[0].fd, keys.encode())

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def wait(self, timeout: float = 30) -> int:
        """Wait for its end and all its output. Returns: the exit code, or minus the signal it died of."""
        code = self.process.wait(timeout)
        while self._writers:
            os.close(self._writers.pop())  # the last writers: the readers meet the end
        for reader in self._readers:
            reader.join(timeout)
        return code

    def wait_for(self, text: str, timeout: float = 30) -> None:
        """Wait until `text` is in its output."""
        wait_until(lambda: text in self.out + self.err or self.process.poll() is not None, timeout, repr(text))
        if self.process.poll() is not None:
            self.wait()
        assert text in self.out + self.err, f"it ended without {text!r}: {self.out}{self.err}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


class _Reader(threading.Thread):
    """Reads a descriptor to its end, and closes it."""

    def __init__(self, fd: int) -> None:
        super().__init__(name="reader", daemon=True)
        self.fd = fd
        self._bytes = bytearray()
        self.start()

    def text(self) -> str:
        return bytes(self._bytes).decode(errors="replace").replace("\r\n", "\n")

    def run(self) -> None:
        while block := self._read():
            self._bytes += block
        os.close(self.fd)

    def _read(self) -> bytes:
        try:
            return os.read(self.fd, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:  # what Linux says of a terminal whose last writer is gone
                raise
            return b""


def plain_text(shown: str) -> str:
    """What a terminal was sent, without colours, movements of the cursor and bells."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\b\a]", "", shown)


def wait_until(predicate: Callable[[], T], timeout: float = 10, what: str = "the condition") -> T:
    """Poll until `predicate` returns something true, and return that."""
    deadline = time.monotonic() + timeout
    while not (found := predicate()):
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(0.01)
    return found


def files_left(folder: Path) -> list[str]:
    """Everything below `folder`, sorted, relative to it; folders end in a slash."""
    return sorted(
        f"{path.relative_to(folder)}{'/' if path.is_dir() and not path.is_symlink() else ''}"
        for path in folder.rglob("*")
    )


def lock_is_free(path: Path) -> bool:
    """True when nobody holds the lock file at `path`, or it is not there."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | dict(more or {})
