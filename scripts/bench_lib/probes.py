"""What is measured of luci alone: memory, resume, interrupt, repair."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench_lib.ground import Ground, Job, Site
from bench_lib.measure import BenchError, Run, Runs, measure
from bench_lib.peers import luci
from bench_lib.scenarios import fetch, in_rounds
from tests.procs import LUCI, wait_until

SMALLER, LARGER = 0.1, 4  # times the size of the others: what memory must not depend on
KILLED_AT = 0.9
FLIPPED, FETCHED = 3, "MiB fetched"
CONNECTIONS = 16
PATIENCE_S = 60


def memory(ground: Ground, rounds: int) -> Runs:
    """One run, whatever `rounds` says, for each size and number of connections."""
    small = ground.make_file(int(ground.file.size * SMALLER))
    large = ground.make_file(ground.file.size * LARGER, sparse=True)
    tools = [luci(None), luci(CONNECTIONS)]
    with ground.site() as site:
        runs = {
            f"{tool.name}, {file.size / 1e6:.0f} MB": partial(fetch, ground, site, tool, file)
            for file in (small, large)
            for tool in tools
        }
        return in_rounds(runs, rounds=1, warm_up=False)


def resume(ground: Ground, rounds: int) -> Runs:
    """The run that completes an install killed at KILLED_AT of its bytes."""
    with ground.site() as site:
        return in_rounds({"luci": partial(_resumed, ground, site)}, rounds)


def _resumed(ground: Ground, site: Site) -> Run:
    with ground.job(site) as job:
        command = luci(None).command(job)
        _kill_midway(command, job)
        run = measure(command, job.env, job.log)
        job.check()
    return run


def _kill_midway(command: list[str], job: Job) -> None:
    enough = KILLED_AT * job.file.size
    with job.log.open("wb") as log, subprocess.Popen(command, env=job.env, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: process.poll() is not None or _written(process.pid) >= enough, PATIENCE_S)
        finally:
            process.kill()
    if job.target.exists():
        raise BenchError("it was done before it could be killed")


def _written(pid: int) -> int:
    """Bytes that the process has written, by the kernel's count."""
    counts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(counts["wchar"])


def repair(ground: Ground, rounds: int) -> Runs:
    """`luci verify --repair` of a file in which FLIPPED bytes are wrong."""
    with ground.site() as site:
        return in_rounds({"luci": partial(_repaired, ground, site)}, rounds)


def _repaired(ground: Ground, site: Site) -> Run:
    with ground.job(site) as job:
        measure(luci(None).command(job), job.env, job.log)
        _flip(job.target)
        before = site.nginx.sent()
        run = measure([*LUCI, "verify", "--repair"], job.env, job.log)
        job.check()
        return replace(run, counts={FETCHED: (site.nginx.sent() - before) / 2**20})


def _flip(path: Path) -> None:
    """Change FLIPPED bytes behind luci's back: the file's times stay."""
    stat = path.stat()
    with path.open("r+b") as file:
        for number in range(1, FLIPPED + 1):
            file.seek(number * stat.st_size // (FLIPPED + 1))
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def interrupt(ground: Ground, rounds: int) -> Runs:
    """From Ctrl+C to the end of luci, the part being gone: many TLS connections, of which none says a word any more."""
    with ground.site(tls=True, limit_rate="20m") as site:
        return in_rounds({f"luci -c {CONNECTIONS}": partial(_interrupted, ground, site)}, rounds)


def _interrupted(ground: Ground, site: Site) -> Run:
    with ground.job(site) as job, job.log.open("wb") as log:
        command = luci(CONNECTIONS).command(job)
        with subprocess.Popen(command, env=job.env, stdout=log, stderr=log) as process:
            try:
                wait_until(lambda: _connections_to(site.port) >= CONNECTIONS, PATIENCE_S)
                wait_until(lambda: _written(process.pid) >= job.file.size // 8, PATIENCE_S)  # all are at the bytes
                os.kill(site.pid, signal.SIGSTOP)
                time.sleep(0.5)  # what is on its way arrives
                return _ended_by(signal.SIGINT, process, job)
            finally:
                os.kill(site.pid, signal.SIGCONT)
                process.kill()


def _ended_by(signum: int, process: subprocess.Popen[bytes], job: Job) -> Run:
    pidfd = os.pidfd_open(process.pid)
    start = time.monotonic()
    process.send_signal(signum)
    select.select([pidfd], [], [], PATIENCE_S)
    seconds = time.monotonic() - start
    os.close(pidfd)
    left = [path.name for path in job.models.rglob("*.part")]
    if process.poll() != -signum or left:
        raise BenchError(f"it ended with {process.returncode}, and left {left}")
    return Run(seconds, cpu=0, peak=0)


def _connections_to(port: int) -> int:
    """Established connections to that port of the loopback."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(row[2] == f"0100007F:{port:04X}" and row[3] == "01" for row in rows)
