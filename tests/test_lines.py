"""The bench's lines are what was asked for, and leave nothing. Only as root, with a C compiler."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.procs import ROOT, wait_until

sys.path.append(str(ROOT / "scripts"))

from bench_lib.lines import Ends, Line, connected, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

MIB = 1 << 20
HEADERS = 28  # of IP and UDP
BENCH = f"""
import sys
sys.path += [{str(ROOT)!r}, {str(ROOT / "scripts")!r}]
import subprocess
from pathlib import Path
from bench_lib.lines import Line, connected
with connected(Line(10, 100), Path(sys.argv[1])) as ends:
    subprocess.run([*ends.server.command, "sh", "-c", "echo $$; exec sleep 60"])
"""


@contextmanager
def joined(ends: Ends) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection: the client's end and the server's."""
    with ends.server.do(lambda: socket.create_server((ends.server.address, 0))) as listening:
        address = listening.getsockname()
        with ends.client.do(lambda: socket.create_connection(address, 10)) as client, listening.accept()[0] as server:
            yield client, server


def received(client: socket.socket, server: socket.socket, data: bytes) -> tuple[bytes, float]:
    """What arrives when the server sends that, and the seconds it takes."""
    start = time.monotonic()
    sender = threading.Thread(target=server.sendall, args=(data,), name="sender", daemon=True)
    sender.start()
    with client.makefile("rb") as reader:
        arrived = reader.read(len(data))
    sender.join()
    return arrived, time.monotonic() - start


def datagrams(ends: Ends, count: int, size: int, pause: float) -> int:
    """How many of so many packets of that size, sent with a pause after each, reach the client."""

    def made() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    with ends.client.do(made) as client, ends.server.do(made) as server:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)  # all of them
        client.bind((ends.client.address, 0))
        client.settimeout(0.5)
        for _ in range(count):
            server.sendto(bytes(size - HEADERS), client.getsockname())
            time.sleep(pause)
        return sum(1 for _ in iter(partial(receive, client), b""))


def receive(client: socket.socket) -> bytes:
    try:
        return client.recv(2000)
    except TimeoutError:
        return b""


def round_trip_seconds(client: socket.socket, server: socket.socket) -> float:
    start = time.monotonic()
    for sender, receiver in ((client, server), (server, client)):
        sender.sendall(b"x")
        receiver.recv(1)
    return time.monotonic() - start


def test_a_line_has_the_delay_that_was_asked_for(tmp_path: Path) -> None:
    with connected(Line(rtt_ms=60, mbit=100), tmp_path) as ends, joined(ends) as (client, server):
        assert 0.06 <= min(round_trip_seconds(client, server) for _ in range(5)) < 0.075


def test_a_line_has_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    line, data = Line(rtt_ms=10, mbit=80), bytes(10 * MIB)
    with connected(line, tmp_path) as ends, joined(ends) as (client, server):
        arrived, seconds = received(client, server, data)
    assert arrived == data
    least = line.least_seconds(len(data))
    assert 0.95 * least <= seconds < 1.5 * least


def test_a_line_loses_the_share_that_was_asked_for(tmp_path: Path) -> None:
    with connected(Line(rtt_ms=2, mbit=1000, loss=0.2), tmp_path) as ends:
        assert 330 <= datagrams(ends, 500, size=100, pause=0.0005) <= 470
    with connected(Line(rtt_ms=2, mbit=1000), tmp_path) as ends:
        assert datagrams(ends, 100, size=100, pause=0.0005) == 100


def test_a_bundle_of_segments_of_which_some_are_lost_arrives_whole_in_the_end(tmp_path: Path) -> None:
    data = b"".join(number.to_bytes(4, "big") for number in range(MIB))
    with connected(Line(rtt_ms=4, mbit=1000, loss=0.02), tmp_path) as ends, joined(ends) as (client, server):
        arrived, _ = received(client, server, data)
    assert arrived == data


def test_a_full_queue_drops_what_comes(tmp_path: Path) -> None:
    """Twice as much as it holds comes at once."""
    line = Line(rtt_ms=2, mbit=10)
    with connected(line, tmp_path) as ends:
        arrived = 1000 * datagrams(ends, 2 * line.queue // 1000, size=1000, pause=0)
    assert 0.95 * line.queue <= arrived <= 1.8 * line.queue


def test_nothing_of_a_line_outlives_a_killed_bench(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", BENCH, str(tmp_path)], stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout
        command = Path("/proc", bench.stdout.readline().strip())
        link = next(pid for pid in children(bench.pid) if "link" in (pid / "comm").read_text())
        bench.send_signal(signal.SIGKILL)
    wait_until(lambda: not command.exists() and not link.exists())


def children(pid: int) -> list[Path]:
    return [Path("/proc", child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
