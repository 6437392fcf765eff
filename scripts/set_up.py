"""Make .venv ready to run luci, or to test it, then go on with a command. Needs nothing but Python.

Usage: set_up.py run|test COMMAND...
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while this module is imported

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Raised by the signal whose number is the argument."""


def main(purpose: str, command: list[str]) -> NoReturn:
    try:
        listen()
        with Path(__file__).open() as lock:
            wait_for(lock)
            if not is_ready(purpose):
                set_up(purpose, lock)
    except subprocess.CalledProcessError:
        sys.exit("Setting up failed, see above; the next run tries again.")
    except OSError as error:
        sys.exit(f"Setting up failed: {error}. If the checkout belongs to another user, use one of your own.")
    except Interrupted as interrupted:
        new_line = "\n" if sys.stderr.isatty() else ""  # behind the ^C that the terminal shows
        with contextlib.suppress(OSError):  # of a terminal that was closed
            print(f"{new_line}Set-up interrupted; run the command again to finish it.", file=sys.stderr, flush=True)
        die_of(interrupted.args[0])
    os.execvp(command[0], command)


def listen() -> None:
    """Let the first signal raise Interrupted; signals that the parent ignores stay ignored."""

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signum)

    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, interrupt)


def die_of(signum: int) -> NoReturn:
    """Die of the signal, so that the shell sees it."""
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)


def wait_for(lock: TextIO) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another process is setting luci up; waiting for it.", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)


def stamp(purpose: str) -> Path:
    """A copy of the pyproject.toml for which .venv is ready: removed first, written last."""
    return VENV / f"ready-to-{purpose}"


def is_ready(purpose: str) -> bool:
    return PYTHON.exists() and stamp(purpose).exists() and stamp(purpose).read_bytes() == PROJECT.read_bytes()


def set_up(purpose: str, lock: TextIO) -> None:
    """Update a complete .venv, or make a new one.

    Raises: subprocess.CalledProcessError, when venv or pip fails; they print the reason.
    """
    print(f"Setting up {VENV}, once ...", file=sys.stderr)
    stamps = list(VENV.glob("ready-to-*"))
    if not stamps or not PYTHON.exists():
        run(lock, sys.executable, "-m", "venv", "--clear", str(VENV))
    for old in stamps:
        old.unlink(missing_ok=True)
    run(lock, str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements(purpose))
    (site_packages,) = VENV.glob("lib/python3*/site-packages")
    (site_packages / "luci.pth").write_text("../../../..\n")  # the checkout, wherever it is moved to
    for fulfilled in {"run", purpose}:
        stamp(fulfilled).write_bytes(PROJECT.read_bytes())


def requirements(purpose: str) -> list[str]:
    project = tomllib.loads(PROJECT.read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"].get(purpose, [])]


def run(lock: TextIO, *command: str) -> None:
    """Run a command that prints to stderr, in a session of its own: the terminal's Ctrl+C does not reach it.

    The child holds the lock too, as it may outlive a parent that is killed.
    """
    with tempfile.TemporaryDirectory(prefix="luci-set-up-") as scratch:
        child = subprocess.Popen(
            command,
            env=os.environ | {"TMPDIR": scratch},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
        try:
            code = child.wait()
        except Interrupted:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
    if code != 0:
        raise subprocess.CalledProcessError(code, command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
