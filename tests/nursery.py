"""Runs of luci that end at a chosen change to the disk.

As a program: the nursery, one process that has luci imported and forks a child for each run, in a fraction of the
time that a new process takes. Every call of a function of `disk/fs.py` that changes something is a point, at which
the child sends itself a signal; so is the end of the last one. (What lies there after one call lies there before the
next.)
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.procs import ROOT

SYNC_EVERY = 64 << 10
WINDOW = 128 << 10
READING = {"blocks_of", "inode_of", "is_own", "open_own", "open_to_read", "read_at"}


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or minus the signal; the points that it came by; what it said on stderr."""

    code: int
    points: int
    err: str


class Nursery:
    """The process that forks; one run at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.nursery"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, env: Mapping[str, str], point: int = -1, signum: int = 0) -> Ended:
        """Run `luci ARGS...`; at that point it gets that signal."""
        assert self._process.stdin
        assert self._process.stdout
        job = {"args": args, "env": dict(env), "point": point, "signum": int(signum)}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=10)


class Points:
    """Counts the points of this process, in a pipe that outlives it."""

    def __init__(self, point: int, signum: int, counter: int) -> None:
        self._left = point
        self._signum = signum
        self._counter = counter

    def pass_one(self) -> None:
        os.write(self._counter, b".")
        self._left -= 1
        if self._left == -1:
            os.kill(os.getpid(), self._signum)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **more: Any) -> Any:
            self.pass_one()
            return function(*args, **more)

        return wrapped


def main() -> None:
    """Fork a child for each line of stdin."""
    from luci_dl.catalog import catalog

    catalog.load(None)  # compiles the patterns

    for line in sys.stdin:
        print(json.dumps(vars(_fork(**json.loads(line)))), flush=True)


def _fork(args: list[str], env: dict[str, str], point: int, signum: int) -> Ended:
    count_reader, count_writer = os.pipe()
    words = Path(env["LUCI_HOME"]).with_suffix(".err")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            os.dup2(os.open(words, os.O_RDWR | os.O_CREAT | os.O_TRUNC), 2)
            os.environ.update(env)
            code = _run(args, Points(point, signum, count_writer))
        finally:
            os._exit(code)
    os.close(count_writer)
    with os.fdopen(count_reader, "rb") as reader:
        points = len(reader.read())
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), points, words.read_text())


def _run(args: list[str], points: Points) -> int:
    import traceback

    from luci_dl.cancel import die_at_once
    from luci_dl.cli.main import run
    from luci_dl.disk import file, fs, write_behind
    from luci_dl.net import worker_pool

    write_behind.SYNC_EVERY = SYNC_EVERY
    worker_pool.WINDOW_BYTES, worker_pool.MIN_SEGMENT_BYTES = WINDOW, 16 << 10
    for name, function in inspect.getmembers(fs, inspect.isfunction):
        if function.__module__ in (fs.__name__, file.__name__) and name not in READING and not name.startswith("_"):
            setattr(fs, name, points.wrap(function))
    die_at_once()
    try:
        code = run(args)
        points.pass_one()
        return code
    except BaseException:  # the interpreter would print it, but never gets to
        traceback.print_exc()
        raise


if __name__ == "__main__":
    main()
