"""The programs that are measured: found, or installed where that is allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv

from tests.procs import ROOT

PEERS = ROOT / ".bench" / "peers"
"""A venv for what is written in Python, apart from luci's own."""
OLAH = PEERS / "bin" / "olah-cli"
IN_PEERS = {"hf": "huggingface_hub", "olah": "olah", "pooch": "pooch"}
OF_DEBIAN = {
    "aria2c": "aria2",
    "curl": "curl",
    "docker-registry": "docker-registry",
    "ip": "iproute2",
    "nginx": "nginx",
    "tc": "iproute2",
    "wget": "wget",
}


def is_there(program: str) -> bool:
    if program in IN_PEERS:
        return any(PEERS.glob(f"lib/python3*/site-packages/{IN_PEERS[program]}"))
    return shutil.which(program) is not None


def install(programs: set[str]) -> None:
    """Install those that are missing: with pip into PEERS, as root also with apt. What fails stays missing."""
    missing = sorted(program for program in programs if not is_there(program))
    packages = [OF_DEBIAN[program] for program in missing if program in OF_DEBIAN]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages)
    modules = [IN_PEERS[program] for program in missing if program in IN_PEERS]
    if modules:
        venv.create(PEERS, with_pip=True)
        _run(str(PEERS / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *modules)


def _run(*command: str) -> None:
    print("Running", *command, file=sys.stderr)
    subprocess.run(command, stdout=sys.stderr, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
