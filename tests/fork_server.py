"""A process that has luci imported and forks a child for each run of luci: ten times faster than a new process.

A child gets the environment, working directory, umask, streams and terminal that the client names, and default signal
handlers; it exits as any Python program does. Whatever only the start of a process can show (a signal or a limit
inherited from the parent, variables that Python reads at start-up, a tracer) needs a new process: `tests.procs.LUCI`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPORT = struct.Struct("ii")
"""What the client receives, twice: the child's pid, and `RUNNING` or its exit code."""
RUNNING = 1000


@dataclass(frozen=True)
class Job:
    """One run of luci.

    Attributes:
        code: runs before luci does.
        tty: the terminal to run in, as the leader of a session of its own; empty for the streams that the client sends.
        exits_at_once: end without the shutdown of the interpreter, which takes four fifths of the time of a short run.
    """

    args: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    umask: int
    code: str = ""
    tty: str = ""
    exits_at_once: bool = False


def main() -> None:
    """Serve the socket on stdin; in each child, run luci."""
    _import_all()
    job, streams = _serve(socket.socket(fileno=os.dup(0)))
    _become(job, streams)
    from luci_dl.__main__ import main as luci

    if not job.exits_at_once:
        luci()
    try:
        luci()
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


def _import_all() -> None:
    import luci_dl
    from luci_dl.catalog import catalog
    from luci_dl.disk import small_part

    for module in pkgutil.walk_packages(luci_dl.__path__, "luci_dl."):
        importlib.import_module(module.name)
    small_part.SMALL = 0  # as in tests/conftest.py
    catalog.read_built_in = functools.cache(catalog.read_built_in)  # half the time of a short run
    catalog.load(None)
    gc.collect()
    gc.freeze()  # the children share these pages


def _serve(control: socket.socket) -> tuple[Job, list[int]]:
    """Fork a child for each request. Returns, in each child, what it is to do; in the server never."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C ends the client
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    clients: dict[int, socket.socket] = {}
    while True:
        for ready in select.select([control, woken], [], [])[0]:
            if ready is woken:
                with contextlib.suppress(BlockingIOError):
                    woken.recv(1 << 10)
                _report_ended(clients)
                continue
            message, descriptors, *_ = socket.recv_fds(control, 1, 3)
            if not message:
                os._exit(0)
            client = socket.socket(fileno=descriptors[0])
            pid = os.fork()
            if pid == 0:
                for each in (control, woken, waker, *clients.values()):
                    each.close()
                return _receive(client), descriptors[1:]
            clients[pid] = client
            for descriptor in descriptors[1:]:
                os.close(descriptor)


def _report_ended(clients: dict[int, socket.socket]) -> None:
    while clients:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with clients.pop(pid) as client, contextlib.suppress(OSError):
            client.sendall(REPORT.pack(pid, os.waitstatus_to_exitcode(status)))


def _receive(client: socket.socket) -> Job:
    """The job; the client is told who does it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with client, client.makefile("rb") as text:
        job = Job(**json.loads(text.read()))
        client.sendall(REPORT.pack(os.getpid(), RUNNING))
    return job


def _become(job: Job, streams: list[int]) -> None:
    """Take the place of a new process."""
    os.environ.clear()
    os.environ.update(job.env)
    time.tzset()
    os.chdir(job.cwd)
    os.umask(job.umask)
    if job.tty:
        os.setsid()
        streams = [os.open(job.tty, os.O_RDWR) for _ in range(3)]
    else:
        streams = [os.open(os.devnull, os.O_RDONLY), *streams]
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for stream in (sys.stdin, sys.stdout):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(line_buffering=stream.isatty())
    sys.argv = [str(ROOT / "luci_dl" / "__main__.py"), *job.args]
    exec(job.code, {"__name__": "__main__"})


if __name__ == "__main__":
    main()
