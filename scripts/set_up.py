"""Make .venv ready to run luci, or to test it. Needs nothing but Python, and may be started twice at one moment.

Usage: set_up.py run|test
"""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main(purpose: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # die of it at once: without its stamp no venv is taken for whole
    with Path(__file__).open() as lock:
        wait_for(lock)
        if not is_ready(purpose):
            try:
                set_up(purpose, lock)
            except subprocess.CalledProcessError:
                sys.exit("Setting up failed, see above; the next run tries again.")


def wait_for(lock: TextIO) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another process is setting luci up; waiting for it.", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)


def stamp(purpose: str) -> Path:
    """The copy of the pyproject.toml for which .venv is ready: removed first, written last."""
    return VENV / f"ready-to-{purpose}"


def is_ready(purpose: str) -> bool:
    return PYTHON.exists() and stamp(purpose).exists() and stamp(purpose).read_bytes() == PROJECT.read_bytes()


def set_up(purpose: str, lock: TextIO) -> None:
    """Bring a whole .venv up to date, or make a new one.

    Raises: subprocess.CalledProcessError, when venv or pip fails; both have said why.
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
    """Run to the end, stdout being luci's own; the child holds the lock too, so that it outlives a killed parent."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr, pass_fds=[lock.fileno()])


if __name__ == "__main__":
    main(sys.argv[1])
