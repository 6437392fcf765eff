"""Wherever a signal finds luci, it cleans up, then speaks, then dies of that signal, at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interrupting import (
    DATA,
    DELETED,
    HALF,
    SOON_S,
    STOPPED,
    assert_nothing_left,
    held,
    interrupt,
    patched,
    wait_for_part,
)
from tests.procs import LUCI, Spawned, lock_is_free
from tests.servers import FaultyServer, faults
from tests.tools import need
from tests.ui.taps import full_pipe

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
WRONG = "0" * 64

Standstill = Callable[[FaultyServer, Path], Iterator[Spawned]]


def downloading(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    url = server.serve("/m.gguf", DATA, faults=[faults.trickle(100_000)])
    with Spawned("install", url) as luci:
        wait_for_part(models)
        yield luci


def stalled_head(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    yield from _stalled(server, faults.stall_head())


def stalled_body(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    for luci in _stalled(server, faults.stall(HALF)):
        wait_for_part(models)
        yield luci


def _stalled(server: FaultyServer, fault: faults.Fault) -> Iterator[Spawned]:
    with Spawned("install", server.serve("/m.gguf", DATA, faults=[fault]), "--sha256", WRONG) as luci:
        assert server.stalled.wait(10)
        yield luci


def waiting_for_a_retry(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    url = server.serve("/m.gguf", DATA, faults=[faults.cut(HALF), faults.status(503, retry_after=100)])
    with Spawned("install", url) as luci:
        luci.wait_for("returned 503")
        yield luci


def looking_up_a_name(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    yield from _halted("import socket; socket.getaddrinfo = halt", server)


def looking_for_copies(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    yield from _halted("from luci_dl.install.local_copies import Copies; Copies.find = halt", server)


def syncing(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    yield from _halted("from luci_dl.disk import fs; fs.sync_data = halt", server)


def preallocating(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    yield from _halted("from luci_dl.disk import fs; fs.allocate = halt", server)


HUNG_DISK = """
from luci_dl.disk import fs
write = fs.write_at
fs.write_at = lambda file, *rest, **more: halt() if file.path.suffix == ".part" else write(file, *rest, **more)
"""


def writing(server: FaultyServer, models: Path) -> Iterator[Spawned]:
    yield from _halted(HUNG_DISK, server)


def _halted(code: str, server: FaultyServer) -> Iterator[Spawned]:
    with Spawned("install", server.serve("/m.gguf", DATA), command=patched(code)) as luci:
        luci.wait_for("halted")
        yield luci


WITH_PART = [downloading, stalled_body, waiting_for_a_retry, writing, syncing, preallocating]
WITHOUT_PART = [stalled_head, looking_up_a_name, looking_for_copies]


@pytest.fixture
def models(home: Path) -> Path:
    return home / "models"


@contextmanager
def at(standstill: Standstill, server: FaultyServer, models: Path) -> Iterator[Spawned]:
    yield from standstill(server, models)


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("standstill", [*WITH_PART, *WITHOUT_PART])
def test_a_signal_cleans_up_speaks_and_kills(
    server: FaultyServer, models: Path, standstill: Standstill, signum: int
) -> None:
    """Nothing is left, the words are exact, and the shell sees the signal."""
    with at(standstill, server, models) as luci:
        took = interrupt(luci, [signum])
        assert luci.process.returncode == -signum
        assert luci.err.endswith(STOPPED + (DELETED.format("m.gguf") if standstill in WITH_PART else ""))
        assert luci.out == ""
        assert_nothing_left(models)
        assert took < SOON_S


@pytest.mark.parametrize("standstill", [stalled_head, stalled_body])
def test_a_signal_ends_a_stall_under_tls(
    tls_server: FaultyServer,
    ca_file: Path,
    models: Path,
    standstill: Standstill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As without TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with at(standstill, tls_server, models) as luci:
        took = interrupt(luci, [signal.SIGINT])
        assert luci.process.returncode == -signal.SIGINT
        assert STOPPED in luci.err
        assert_nothing_left(models)
        assert took < SOON_S


@pytest.mark.parametrize("standstill", [downloading, stalled_body, syncing])
@pytest.mark.parametrize("signals", [[signal.SIGINT] * 20, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP] * 7])
def test_an_impatient_user_changes_nothing(
    server: FaultyServer, models: Path, standstill: Standstill, signals: list[int]
) -> None:
    """One of the signals counts; the others neither hurry nor disturb the clean-up, nor the words."""
    with at(standstill, server, models) as luci:
        took = interrupt(luci, signals)
        assert luci.process.returncode in {-signum for signum in signals}
        assert luci.err.endswith(STOPPED + DELETED.format("m.gguf"))
        assert_nothing_left(models)
        assert took < SOON_S


@pytest.mark.parametrize("signum", SIGNALS)
def test_who_waits_for_a_lock_touches_nothing_of_the_holder(server: FaultyServer, models: Path, signum: int) -> None:
    """Part and journal of the other process stay as they are, and so does its lock."""
    staging = models / ".luci"
    with held(staging / "m.gguf.lock"):
        (staging / "m.gguf.part").write_bytes(b"theirs")
        (staging / "m.gguf.journal").write_bytes(b"theirs")
        with Spawned("install", server.serve("/m.gguf", DATA)) as luci:
            luci.wait_for("Waiting for")
            took = interrupt(luci, [signum])
            assert luci.process.returncode == -signum
            assert luci.err.endswith(STOPPED)
        assert not lock_is_free(staging / "m.gguf.lock")
        assert (staging / "m.gguf.part").read_bytes() == (staging / "m.gguf.journal").read_bytes() == b"theirs"
        assert took < SOON_S
    assert server.exchanges() == []


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_hashing_of_a_big_file_is_ended(server: FaultyServer, models: Path, signum: int) -> None:
    """A file that luci did not install stays as it was."""
    models.mkdir(parents=True)
    target = models / "m.gguf"
    with target.open("wb") as file:
        file.truncate(1 << 40)
    before = target.stat()
    with Spawned("install", server.serve("/m.gguf", DATA), "--sha256", WRONG) as luci:
        luci.wait_for("Checking")
        took = interrupt(luci, [signum])
        assert luci.process.returncode == -signum
        assert luci.err.endswith(STOPPED)
    after = target.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert lock_is_free(models / ".luci" / "m.gguf.lock")
    assert took < SOON_S


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_full_pipe_delays_nothing(server: FaultyServer, models: Path, signum: int) -> None:
    """Nobody reads stderr, so the words are lost, but not the clean-up nor the signal."""
    url = server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)])
    reader, writer = full_pipe()
    with subprocess.Popen([*LUCI, "install", url], stderr=writer) as process:
        assert server.stalled.wait(10)
        began = time.monotonic()
        process.send_signal(signum)
        assert process.wait(10) == -signum
        assert time.monotonic() - began < SOON_S
    os.close(reader)
    os.close(writer)
    assert_nothing_left(models)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may make a PID namespace")
@pytest.mark.parametrize("signum", SIGNALS)
def test_pid_1_of_a_container_ends_by_its_exit_code(server: FaultyServer, models: Path, signum: int) -> None:
    """Signals have no default action there, so the code says 128+n."""
    container = [need("unshare"), "--pid", "--fork", "--kill-child", *LUCI]
    with Spawned("install", server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)]), command=container) as luci:
        wait_for_part(models)
        (pid,) = Path(f"/proc/{luci.pid}/task/{luci.pid}/children").read_text().split()
        began = time.monotonic()
        os.kill(int(pid), signum)
        assert luci.wait(10) == 128 + signum
        assert time.monotonic() - began < SOON_S
        assert luci.err.endswith(STOPPED + DELETED.format("m.gguf"))
    assert_nothing_left(models)


@pytest.mark.parametrize(("name", "signum"), [("INT", signal.SIGINT), ("HUP", signal.SIGHUP)])
def test_a_signal_that_was_ignored_stays_ignored(server: FaultyServer, models: Path, name: str, signum: int) -> None:
    """As in the background of a script, or under nohup: the install goes on to its end."""
    deaf = ["sh", "-c", f'trap "" {name}; exec "$@"', "sh", *LUCI]
    with Spawned("install", server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)]), command=deaf) as luci:
        assert server.stalled.wait(10)
        luci.signal(signum)
        server.release()
        assert luci.wait() == 0
    assert (models / "m.gguf").read_bytes() == DATA


def test_another_signal_is_still_heard_then(server: FaultyServer, models: Path) -> None:
    """SIGTERM ends what ignores SIGINT."""
    deaf = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *LUCI]
    with Spawned("install", server.serve("/m.gguf", DATA, faults=[faults.stall(HALF)]), command=deaf) as luci:
        assert server.stalled.wait(10)
        interrupt(luci, [signal.SIGINT, signal.SIGTERM])
        assert luci.process.returncode == -signal.SIGTERM
    assert_nothing_left(models)
