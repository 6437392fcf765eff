"""One server and many hosts, from their start to their end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench_lib.fleet.bed import Bed
from bench_lib.fleet.clients import CLIENTS, Errand
from bench_lib.fleet.engines import Engine, Place
from bench_lib.fleet.upstream import Upstream
from bench_lib.lines import End
from bench_lib.measure import BenchError
from tests.procs import wait_until

PORT = 8480
START_S = 30
QUIET_S = 1
PATIENCE_S = 600
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Outcome:
    """How it went.

    Attributes:
        seconds: of each host that ended well, with the file right.
        wrong: hosts that ended well, with a file that is wrong or missing; failures: what the others said last.
        copies: of the file, that came over the uplink.
        sent, cpu, peak: the server's bytes, CPU seconds and most resident memory.
    """

    seconds: tuple[float, ...]
    wrong: int
    failures: tuple[str, ...]
    copies: float
    sent: int = 0
    cpu: float = 0
    peak: int = 0

    @property
    def slowest(self) -> float:
        """Seconds; infinite when a host has failed."""
        return float("inf") if self.wrong or self.failures else max(self.seconds)

    @property
    def complete(self) -> int:
        """Hosts that say that they have the file."""
        return len(self.seconds) + self.wrong


class Server:
    """A server in the LAN."""

    def __init__(self, engine: Engine, place: Place, end: End) -> None:
        assert engine.command
        self.place = place
        self._end = end
        self._command = [*end.command, *engine.command(place)]
        self._log = place.folder / "log"
        self.start()

    def start(self) -> None:
        """Start it, again too. Raises: BenchError, when it does not."""
        env = {"PATH": os.environ["PATH"], **self.place.env}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.place.folder
            )
        try:
            wait_until(lambda: self._process.poll() is not None or self._accepts(), START_S, "the server's port")
        finally:
            if self._process.poll() is not None:
                raise BenchError(f"the server does not start: {last_words(self._log)}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def cpu(self) -> float:
        """Seconds so far."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak(self) -> int:
        """The most resident memory so far, in bytes."""
        facts = dict(line.split(":", 1) for line in self._proc("status").splitlines())
        return int(facts["VmHWM"].split()[0]) << 10

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self._process.pid}/{name}").read_text()

    def _accepts(self) -> bool:
        try:
            self._end.do(lambda: socket.create_connection((self.place.address, PORT), 1)).close()
        except OSError:
            return False
        return True


class Host:
    """A host that fetches the file. `seconds`: how long it took; None while it does."""

    def __init__(self, errand: Errand, client: str, end: End) -> None:
        self.errand = errand
        self.seconds: float | None = None
        self.was_killed = False
        command, more = CLIENTS[client](errand)
        env = {**errand.env, "PATH": os.environ["PATH"], **more}
        started = time.monotonic()
        with errand.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*end.command, *command], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=errand.run
            )
        self._waiter = threading.Thread(target=self._wait, args=(started,), name="host", daemon=True)
        self._waiter.start()

    def kill(self) -> None:
        self.was_killed = True
        self._process.kill()

    def wait(self, seconds: float) -> None:
        """Wait for its end, and bring it about after so long."""
        self._waiter.join(seconds)
        self._process.kill()
        self._waiter.join()

    def failure(self) -> str:
        """What it said last; empty when it has ended well."""
        return last_words(self.errand.log) or "nothing" if self._process.returncode else ""

    def is_right(self) -> bool:
        found = self.errand.found()
        return found is not None and self.errand.upstream.has(found)

    def _wait(self, started: float) -> None:
        self._process.wait()
        self.seconds = time.monotonic() - started


During = Callable[["Lan", Sequence[Host]], None]
"""What happens while the hosts fetch."""


@dataclass(frozen=True)
class Lan:
    """A LAN with a server, or with none; `folder` is for the hosts' folders."""

    bed: Bed
    upstream: Upstream
    engine: Engine
    server: Server | None
    folder: Path

    def fetch(
        self,
        client: str,
        ends: Sequence[End],
        apart: float = 0,
        during: During | None = None,
        patience: float = PATIENCE_S,
    ) -> Outcome:
        """Let a host at each of these ends fetch the file.

        Args:
            apart: seconds between the starts of two hosts.
            patience: seconds; who still fetches after that is killed, and has failed.
        """
        deadline, running, before = time.monotonic() + patience, list[Host](), self._counts()
        with scratch(self.folder, "hosts") as folder:
            try:
                for number, end in enumerate(ends):
                    running.append(Host(self._errand(folder / str(number)), client, end))
                    time.sleep(apart)
                if during:
                    during(self, running)
            finally:
                for host in running:
                    host.wait(max(0, deadline - time.monotonic()))
            return self._outcome(running, before)

    def warm_up(self) -> None:
        """Let the server get the file. Raises: BenchError, when it does not."""
        if self.fetch("curl", self.bed.hosts[:1]).slowest == float("inf"):
            raise BenchError("the server does not get the file")
        before = -1
        while before != (before := self.bed.from_hub()):  # docker-registry keeps what it fetches once more
            time.sleep(QUIET_S)

    def wait_for(self, share: float) -> None:
        """Until that share of the file has come over the uplink since now."""
        enough = self.bed.from_hub() + share * self.upstream.size
        wait_until(lambda: self.bed.from_hub() >= enough, PATIENCE_S, "the bytes over the uplink")

    def _outcome(self, hosts: Sequence[Host], before: tuple[int, int, float]) -> Outcome:
        wan, lan, cpu = (now - then for now, then in zip(self._counts(), before, strict=True))
        ended = [host for host in hosts if not host.was_killed]
        well = [host for host in ended if not host.failure()]
        failures = tuple(host.failure() for host in ended if host not in well)
        right = [host.seconds for host in well if host.is_right() and host.seconds is not None]
        peak = self.server.peak() if self.server else 0
        return Outcome(tuple(right), len(well) - len(right), failures, wan / self.upstream.size, int(lan), cpu, peak)

    def _errand(self, folder: Path) -> Errand:
        hub, server = self.upstream, self.server.place.origin if self.server else ""
        errand = Errand(folder, hub.endpoint, hub.ca_file, hub, server, self.engine.path(hub))
        errand.models.mkdir(parents=True)
        return errand

    def _counts(self) -> tuple[int, int, float]:
        """Bytes of the Hub and of the server, CPU seconds of the server."""
        return self.bed.from_hub(), self.bed.from_server(), self.server.cpu() if self.server else 0


@contextmanager
def lan(bed: Bed, upstream: Upstream, engine: Engine, folder: Path) -> Iterator[Lan]:
    """A server that runs until the end of the block and has nothing yet; then the uplink is whole again."""
    with scratch(folder, "server") as own:
        place = Place(upstream, own, bed.server.address, PORT)
        server = Server(engine, place, bed.server) if engine.command else None
        try:
            yield Lan(bed, upstream, engine, server, folder)
        finally:
            if server:
                server.kill()
            bed.mend()


@contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A new folder, gone at the end of the block."""
    here = folder / name
    here.mkdir()
    try:
        yield here
    finally:
        shutil.rmtree(here)


def last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-400:].strip()
