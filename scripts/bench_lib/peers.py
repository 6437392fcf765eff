"""The tools, how each is told to fetch one file, and what it does beyond fetching."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

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
DISK = """
import mmap, os, sys
path, size, block = sys.argv[1], int(sys.argv[2]), mmap.mmap(-1, 4 << 20)
block[:] = os.urandom(len(block))
file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
os.posix_fallocate(file, 0, size)
for start in range(0, size, len(block)):
    os.write(file, block)
os.fsync(file)
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
        runs_as: the tool in whose place it runs.
    """

    name: str
    program: str
    command: Callable[[Job], list[str]]
    digest: bool = False
    sync: bool = False
    runs_as: str = ""

    @property
    def role(self) -> str:
        """What scenarios call it."""
        return self.runs_as or self.name

    @property
    def is_floor(self) -> bool:
        """True for what fetches nothing: the least that a digest, a disk or a line costs."""
        return self.name in (FLOOR, DISK_ALONE, LINE_ALONE)


FLOOR = "SHA-256 alone"
DISK_ALONE = "the disk alone"
LINE_ALONE = "the line alone"


def all_tools(checkouts: Iterable[Path] = ()) -> list[Tool]:
    """Every tool, and luci of those checkouts beside that of this one."""
    mine = [luci(count) for count in (None, 1, 4, 16)]
    return [
        Tool(FLOOR, "luci", _sha256, digest=True),
        Tool(DISK_ALONE, "luci", _written, sync=True),
        Tool(LINE_ALONE, "luci", _nothing),
        *mine,
        *(of_checkout(tool, path) for path in checkouts for tool in mine),
        Tool("curl", "curl", _curl),
        Tool("wget", "wget", _wget),
        *(aria2c(count, checksum) for count in (1, 4, 16) for checksum in (False, True)),
        Tool(
            "aria2c -x16 -k1M", "aria2c", lambda job: ["aria2c", "-x16", "-s16", "-k1M", *_for_aria2c(job)], sync=True
        ),
        Tool("hf download", "hf", _hf),
        Tool("pooch", "pooch", _pooch, digest=True),
    ]


def luci(connections: int | None) -> Tool:
    """luci with so many connections; None: as many as it finds good."""
    option = [] if connections is None else ["-c", str(connections)]
    return Tool(
        " ".join(["luci", *option]),
        "luci",
        lambda job: [*LUCI, "install", job.url, "--sha256", job.file.sha256, *option],
        digest=True,
        sync=True,
    )


def of_checkout(tool: Tool, path: Path) -> Tool:
    """The same of luci's checkout at `path`, with the Python of its .venv."""

    def command(job: Job) -> list[str]:
        return [str(path.absolute() / ".venv/bin/python"), *tool.command(job)[1:]]

    name = tool.name.replace("luci", f"luci@{path.absolute().name}")
    return replace(tool, name=name, command=command, runs_as=tool.name)


def aria2c(connections: int, checksum: bool = False) -> Tool:
    """aria2c with so many connections; it syncs the file with or without a checksum (strace shows the fsync)."""

    def command(job: Job) -> list[str]:
        check = [f"--checksum=sha-256={job.file.sha256}"] if checksum else []
        return ["aria2c", f"-x{connections}", f"-s{connections}", *check, *_for_aria2c(job)]

    name = f"aria2c -x{connections}" + (" --checksum" if checksum else "")
    return Tool(name, "aria2c", command, digest=checksum, sync=True)


def _for_aria2c(job: Job) -> list[str]:
    where = [f"--ca-certificate={job.ca_file}", "-d", str(job.models), "-o", job.file.name]
    return ["-q", "--no-conf", *where, job.url]


def _nothing(job: Job) -> list[str]:
    return []


def _sha256(job: Job) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", SHA256, str(job.file.size)]


def _written(job: Job) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", DISK, str(job.target), str(job.file.size)]


def _curl(job: Job) -> list[str]:
    return ["curl", "-sS", "--fail", "--cacert", str(job.ca_file), "-o", str(job.target), job.url]


def _wget(job: Job) -> list[str]:
    return ["wget", "-q", f"--ca-certificate={job.ca_file}", "-O", str(job.target), job.url]


def _hf(job: Job) -> list[str]:
    return [str(PEERS / "bin" / "hf"), "download", REPO, job.file.name, "--local-dir", str(job.models)]


def _pooch(job: Job) -> list[str]:
    python = str(PEERS / "bin" / "python")
    return [python, "-c", POOCH, job.url, job.file.sha256, str(job.models), job.file.name]
