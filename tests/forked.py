"""The client of the fork server."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from tests.fork_server import REPORT, ROOT, RUNNING, Job

READ_AT_START = ("PYTHON", "LANG", "LC_")
"""Prefixes of the variables that Python reads when it starts."""


class Forked:
    """A running child of the server, with the methods of `subprocess.Popen` that the tests use."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid, state = self._receive()
        assert state == RUNNING, "it failed before it could start; its stderr says why"
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the signal, of a child that has ended."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            _, self.returncode = self._receive()
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises: subprocess.TimeoutExpired, when it still runs after `timeout` seconds."""
        if self.returncode is None:
            select.select([self._connection], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("luci", timeout or 0)
        return code

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile; `subprocess.Popen` does the same
                os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _receive(self) -> tuple[int, int]:
        data = self._connection.recv(REPORT.size, socket.MSG_WAITALL)
        assert len(data) == REPORT.size, "the fork server has ended; its stderr says why"
        pid, state = REPORT.unpack(data)
        return pid, state


class ForkServer:
    """The client's end of the server."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._env = os.environ | {"PYTHONPATH": str(ROOT)}
        with theirs:
            command = [sys.executable, "-P", "-m", "tests.fork_server"]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
            )

    def can_run(self, env: Mapping[str, str]) -> bool:
        """Whether a child of the server is as good as a new process with this environment."""
        return _at_start(env) == _at_start(self._env)

    def run(self, job: Job, streams: Sequence[int] = ()) -> Forked:
        """Start luci; `streams` are its stdout and stderr, unless it runs in a terminal."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"!"], [theirs.fileno(), *streams])
        ours.sendall(json.dumps(asdict(job)).encode())
        ours.shutdown(socket.SHUT_WR)
        return Forked(ours)

    def close(self) -> None:
        self._control.close()
        self._process.wait(10)


@functools.cache
def fork_server() -> ForkServer:
    """The one of this process, started when it is first asked for."""
    return ForkServer()


def close_fork_server() -> None:
    if fork_server.cache_info().currsize:
        fork_server().close()
        fork_server.cache_clear()


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START)}
