"""Runs of luci that end at a chosen change to the disk.

Every system call that changes the disk, or makes a change durable, is a point, before which the run sends itself a
signal; so is the end of the run. (What is on the disk after one call is there before the next.)
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.fork_server import ROOT, Job
from tests.forked import fork_server

CHANGING = (
    *("chmod", "fchmod", "fdatasync", "fsync", "ftruncate", "link", "mkdir", "pwrite", "pwritev", "remove", "rename"),
    *("replace", "rmdir", "symlink", "truncate", "unlink", "utime"),
)
"""Functions of the module `os`; `arm` adds those that change the disk in some cases only, or are in other modules."""


@dataclass(frozen=True)
class Ended:
    """The end of a run: exit code or minus the signal, number of points passed, stderr."""

    code: int
    points: int
    err: str


def run(*args: str, home: Path, env: Mapping[str, str], point: int = -1, signum: int = 0, small: int = 0) -> Ended:
    """Run `luci ARGS...` with this LUCI_HOME, and send it the signal at the point.

    Args:
        small: files of fewer bytes are small.
    """
    passed, err = home.with_suffix(".points"), home.with_suffix(".err")
    code = f"from tests.crash_points import arm\narm({point}, {int(signum)}, {str(passed)!r}, {small})"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LUCI_HOME": str(home)} | dict(env)
    job = Job(args, environment, str(ROOT), 0o022, code, exits_at_once=True)
    passed.write_bytes(b"")
    with open(os.devnull, "wb") as nowhere, err.open("wb") as errors:
        ended = fork_server().run(job, [nowhere.fileno(), errors.fileno()]).wait(30)
    return Ended(ended, passed.stat().st_size, err.read_text())


def arm(point: int, signum: int, passed: str, small: int) -> None:
    """In the process of luci: count the points in the file `passed`, and send the signal at the chosen one."""
    from luci_dl.cli import main
    from luci_dl.disk import backlog, buffers, small_part
    from luci_dl.net import pieces

    _replace(small_part, "SMALL", lambda _: small)
    _replace(backlog, "SYNC_EVERY", lambda _: 64 << 10)
    _replace(buffers, "LARGE", lambda _: 32 << 10)
    _replace(pieces, "WINDOW", lambda _: 128 << 10)
    _replace(pieces, "PIECE_BYTES", lambda _: 16 << 10)
    _replace(pieces, "MIN_PIECE_BYTES", lambda _: 16 << 10)
    points = _Points(point, signum, os.open(passed, os.O_WRONLY | os.O_APPEND))
    _replace(main, "run", points.after)
    for name in CHANGING:
        _replace(os, name, points.before)
    _replace(os, "open", points.before, lambda _path, flags, *_: flags & os.O_CREAT)
    _replace(os, "write", points.before, lambda fd, _data: stat.S_ISREG(os.fstat(fd).st_mode))
    _replace(fcntl, "ioctl", points.before)  # a clone
    _replace(ctypes, "CDLL", points.before)  # the way to fallocate


def _replace(module: ModuleType, name: str, replace: Callable[..., object], *more: Callable[..., object]) -> None:
    setattr(module, name, replace(getattr(module, name), *more))


class _Points:
    def __init__(self, point: int, signum: int, counter: int) -> None:
        self._left = point
        self._signum = signum
        self._count = functools.partial(os.write, counter, b".")

    def before(self, function: Callable[..., Any], counts: Callable[..., object] | None = None) -> Callable[..., Any]:
        """`function` with a point before each call whose positional arguments count."""

        @functools.wraps(function)
        def wrapped(*args: Any, **more: Any) -> Any:
            if counts is None or counts(*args):
                self._pass_one()
            return function(*args, **more)

        return wrapped

    def after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            result = function(*args, **more)
            self._pass_one()
            return result

        return wrapped

    def _pass_one(self) -> None:
        self._count()
        self._left -= 1
        if self._left == -1:
            os.kill(os.getpid(), self._signum)
