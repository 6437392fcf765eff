"""Run luci as a user does: in a process of its own, with pipes or in a terminal.

The fork server starts it, unless `command` says how to start a new process.
"""

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
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.fork_server import ROOT as ROOT
from tests.fork_server import Job
from tests.forked import Forked, fork_server

LUCI = [sys.executable, "-P", "-m", "luci_dl"]
"""The command that runs luci in a new process."""
IN_TERMINAL = ["sh", "-c", 'tty=$1; shift; exec "$@" <"$tty" >"$tty" 2>"$tty"', "sh"]
"""A session leader that opens a terminal gets it as its controlling terminal, so Ctrl+C reaches it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Code:
    """Python code that runs before luci does, in the same process."""

    text: str

    @property
    def command(self) -> list[str]:
        """The command that does so in a new process."""
        return [sys.executable, "-P", "-c", f"{self.text}\nfrom luci_dl.__main__ import main\nmain()"]


def luci(
    *args: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run `luci ARGS...` to its end, without a terminal; `env` is added to the environment."""
    with Spawned(*args, env=env, cwd=cwd) as run:
        code = run.wait(timeout)
        out, err = (reader.data.decode().replace("\r\n", "\n").replace("\r", "\n") for reader in run.readers)
        return subprocess.CompletedProcess(args, code, out, err)


class Spawned:
    """A running `luci ARGS...`, killed at the end of the `with` block if it still runs.

    Args:
        terminal: run it in a pseudo-terminal of its own; `out` gets everything, and `press("\\x03")` is Ctrl+C.
        env: added to the environment.
        command: start a new process with this command, or run this code before luci.
        columns: of the terminal.
    """

    def __init__(
        self,
        *args: str | Path,
        terminal: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        command: Sequence[str] | Code = Code(""),
        columns: int = 120,
    ) -> None:
        words, environment = [*map(str, args)], os.environ | {"PYTHONPATH": str(ROOT)} | dict(env or {})
        pairs = [os.openpty()] if terminal else [os.pipe(), os.pipe()]
        self.readers = [_Reader(reader) for reader, _ in pairs]
        self._writers = [writer for _, writer in pairs]
        tty = os.ttyname(self._writers[0]) if terminal else ""
        if terminal:
            fcntl.ioctl(self._writers[0], termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process: subprocess.Popen[bytes] | Forked
        if isinstance(command, Code) and fork_server().can_run(environment):
            job = Job(words, environment, str(cwd or Path.cwd()), _umask(), command.text, tty)
            self.process = fork_server().run(job, [] if terminal else self._writers)
        else:
            argv = [*(command.command if isinstance(command, Code) else command), *words]
            self.process = subprocess.Popen(
                [*IN_TERMINAL, tty, *argv] if terminal else argv,
                env=environment,
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
        """Output so far: stdout, or everything in the terminal."""
        return self.readers[0].text()

    @property
    def err(self) -> str:
        """Output so far: stderr, or everything in the terminal."""
        return self.readers[-1].text()

    def press(self, keys: str) -> None:
        """Type into the terminal."""
        os.write(self.readers[0].fd, keys.encode())

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def wait(self, timeout: float = 30) -> int:
        """Wait for its end and all its output. Returns: the exit code, or minus the signal that killed it."""
        code = self.process.wait(timeout)
        while self._writers:
            os.close(self._writers.pop())  # the last writers, so the readers reach the end
        for reader in self.readers:
            reader.join(timeout)
        return code

    def wait_for(self, text: str, timeout: float = 30) -> None:
        """Wait until `text` is in its output."""
        wait_until(lambda: text in self.out + self.err or self.process.poll() is not None, timeout, repr(text))
        if self.process.poll() is not None:
            self.wait()
        assert text in self.out + self.err, f"ended without {text!r}: {self.out}{self.err}"

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
        self.data = bytearray()
        self.start()

    def text(self) -> str:
        return bytes(self.data).decode(errors="replace").replace("\r\n", "\n")

    def run(self) -> None:
        while block := self._read():
            self.data += block
        os.close(self.fd)

    def _read(self) -> bytes:
        try:
            return os.read(self.fd, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux: the last writer of the terminal is gone
                raise
            return b""


def plain_text(shown: str) -> str:
    """Terminal output without colours, cursor movements and bells."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\b\a]", "", shown)


def wait_until(predicate: Callable[[], T], timeout: float = 10, what: str = "the condition") -> T:
    """Poll until `predicate` returns something true, and return that."""
    deadline = time.monotonic() + timeout
    while not (found := predicate()):
        assert time.monotonic() < deadline, f"{what} did not hold within {timeout} s"
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


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
