"""Lines with delay, rate, loss and a queue, between two network namespaces: as root, where there is a C compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench_lib.measure import BenchError

CLIENT, SERVER = "192.0.2.1", "192.0.2.2"
SEED = 1
T = TypeVar("T")
SOURCE = Path(__file__).with_name("link.c")
SET_UP = """
ip link set lo up
ip link set line up txqueuelen 10000
ip address add {here} peer {there} dev line
echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save
"""
"""For one end. No run profits from what TCP has learnt in the one before it."""


@dataclass(frozen=True)
class Line:
    """A line, the same in both directions; `loss` is the share of packets."""

    rtt_ms: float
    mbit: float
    loss: float = 0

    @property
    def queue(self) -> int:
        """Bytes that wait in front of it at most: what is on the way in a round trip, or a MiB."""
        return max(1 << 20, int(self.mbit * 1e6 / 8 * self.rtt_ms / 1e3))

    def least_seconds(self, size: int) -> float:
        """What nobody can beat: a round trip for the question, and the time that the bytes take."""
        return self.rtt_ms / 1e3 + size * 8 / (self.mbit * 1e6)


@dataclass(frozen=True)
class End:
    """One end of a line: its address, and the path of its network namespace (empty: the machine's own)."""

    address: str
    namespace: str = ""

    @property
    def command(self) -> tuple[str, ...]:
        """What to put before a command so that it runs here, and is killed when this process ends."""
        return ("nsenter", f"--net={self.namespace}", "setpriv", "--pdeathsig=KILL") if self.namespace else ()

    def do(self, act: Callable[[], T]) -> T:
        """What `act` returns, called here: a socket that it makes belongs to this end, whoever uses it."""
        with ThreadPoolExecutor(1, initializer=self._enter) as thread:
            return thread.submit(act).result()

    def _enter(self) -> None:
        if self.namespace:
            with open(self.namespace) as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), 0):
                    raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class Ends:
    """Where client and server run."""

    client: End
    server: End


HERE = End("127.0.0.1")
LOOPBACK = Ends(HERE, HERE)


def why_not() -> str | None:
    """What is missing for lines."""
    missing = [program for program in ("cc", "ip", "nsenter", "setpriv") if shutil.which(program) is None]
    if os.geteuid() != 0:
        return "lines need root"
    return f"lines need {' and '.join(missing)}" if missing else None


@contextmanager
def connected(line: Line | None, folder: Path) -> Iterator[Ends]:
    """A line that is up until the end of the block; None: the loopback. `folder` is for the compiled program.

    Nothing outlives this process, whatever ends it: link ends with its input, what it made ends with it, and the
    commands at the ends are killed with us.
    """
    if line is None:
        yield LOOPBACK
        return
    if reason := why_not():
        raise BenchError(reason)
    figures = (line.rtt_ms / 2 * 1e3, line.mbit * 1e6, line.loss, line.queue, SEED)
    command = [str(_compiled(folder)), *map(str, figures)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as link:
        assert link.stdout
        namespaces = [f"/proc/{link.pid}/fd/{descriptor}" for descriptor in link.stdout.readline().split()]
        if not namespaces:
            raise BenchError("the line could not be made")
        ends = Ends(*map(End, (CLIENT, SERVER), namespaces))
        _set_up(ends.client, ends.server)
        _set_up(ends.server, ends.client)
        yield ends


def _compiled(folder: Path) -> Path:
    program = folder / "link"
    subprocess.run(
        ["cc", "-O2", "-Wall", "-Wextra", "-fno-strict-aliasing", "-o", str(program), str(SOURCE)], check=True
    )
    return program


def _set_up(here: End, there: End) -> None:
    commands = SET_UP.format(here=here.address, there=there.address)
    subprocess.run([*here.command, "sh", "-ec", commands], check=True)
