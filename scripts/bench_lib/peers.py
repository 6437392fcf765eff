"""The tools, how each is told to fetch one file, and what it does beyond fetching."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from bench_lib.ground import Job
from bench_lib.hub import REPO
from bench_lib.programs import PEERS
from tests.procs import LUCI

SHA256 = """
import hashlib, sys
digest, block = hashlib.sha256(), bytes(1 << 20)
for start in range(0, int(sys.argv[1]), len(block)):
    digest.update(block)
"""
POOCH = """
import sys, pooch
url, sha256, folder, name = sys.argv[1:]
pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder)
"""


@dataclass(frozen=True)
class Tool:
    """One way to fetch a file.

    Attributes:
        name: as the tables call it; program: what must be installed for it.
        command: the command line for a job.
        digest, sync: whether the file is checked against its SHA-256, and synced to disk, when the tool ends.
        scenarios: where it runs.
    """

    name: str
    program: str
    command: Callable[[Job], list[str]]
    digest: bool = False
    sync: bool = False
    scenarios: tuple[str, ...] = ("plain", "tls")

    @property
    def is_floor(self) -> bool:
        """True for what fetches nothing, the least that a digest costs."""
        return self.name == FLOOR


FLOOR = "SHA-256 alone"


def all_tools() -> list[Tool]:
    everywhere = ("plain", "tls", "throttled")
    counts = [4, 16] if luci_takes_connections() else []
    return [
        Tool(FLOOR, "luci", _sha256, digest=True, scenarios=("plain",)),
        luci(None),
        *map(luci, counts),
        Tool("curl", "curl", _curl, scenarios=everywhere),
        Tool("wget", "wget", _wget),
        aria2c(1),
        aria2c(1, checksum=True),
        aria2c(4, scenarios=everywhere),
        aria2c(4, checksum=True, scenarios=everywhere),
        aria2c(16, scenarios=everywhere),
        aria2c(16, checksum=True, scenarios=everywhere),
        Tool("hf download", "hf", _hf),
        Tool("pooch", "pooch", _pooch, digest=True),
    ]


@cache
def luci_takes_connections() -> bool:
    helped = subprocess.run([*LUCI, "install", "--help"], capture_output=True, text=True, check=True)
    return "--connections" in helped.stdout


def luci(connections: int | None) -> Tool:
    """luci with so many connections; None: as many as it finds good."""
    option = [] if connections is None else ["-c", str(connections)]
    scenarios = ("plain", "tls") if connections == 4 else ("plain", "tls", "throttled")
    return Tool(
        " ".join(["luci", *option]),
        "luci",
        lambda job: [*LUCI, "install", job.url, "--sha256", job.file.sha256, *option],
        digest=True,
        sync=True,
        scenarios=scenarios,
    )


def aria2c(connections: int, checksum: bool = False, scenarios: tuple[str, ...] = ("plain", "tls")) -> Tool:
    """aria2c with so many connections; it syncs the file with or without a checksum (strace shows the fsync)."""

    def command(job: Job) -> list[str]:
        check = [f"--checksum=sha-256={job.file.sha256}"] if checksum else []
        where = [f"--ca-certificate={job.ca_file}", "-d", str(job.models), "-o", job.file.name]
        return ["aria2c", "-q", "--no-conf", f"-x{connections}", f"-s{connections}", *check, *where, job.url]

    name = f"aria2c -x{connections}" + (" --checksum" if checksum else "")
    return Tool(name, "aria2c", command, digest=checksum, sync=True, scenarios=scenarios)


def _sha256(job: Job) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", SHA256, str(job.file.size)]


def _curl(job: Job) -> list[str]:
    return ["curl", "-sS", "--fail", "--cacert", str(job.ca_file), "-o", str(job.target), job.url]


def _wget(job: Job) -> list[str]:
    return ["wget", "-q", f"--ca-certificate={job.ca_file}", "-O", str(job.target), job.url]


def _hf(job: Job) -> list[str]:
    return [str(PEERS / "bin" / "hf"), "download", REPO, job.file.name, "--local-dir", str(job.models)]


def _pooch(job: Job) -> list[str]:
    python = str(PEERS / "bin" / "python")
    return [python, "-c", POOCH, job.url, job.file.sha256, str(job.models), job.file.name]
