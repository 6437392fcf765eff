"""What every run costs before it does anything: the help, an installed model, the first request."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from bench_lib.ground import Ground, Slate
from bench_lib.hub import fake_hub
from bench_lib.measure import Run, Runs, measure
from bench_lib.programs import PEERS, is_there
from bench_lib.scenarios import in_rounds
from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import Receipt
from tests.procs import LUCI, wait_until

BARE_PYTHON = "bare Python"
BIG = 40 * 10**9
DIGEST = "0" * 64


def help_texts(ground: Ground, rounds: int) -> Runs:
    """`--help` of luci, and of hf where that is installed; Python that does nothing."""
    with ground.slate() as slate:
        commands = {"luci": [*LUCI, "--help"], BARE_PYTHON: [sys.executable, "-c", "pass"]}
        if is_there("hf"):
            commands["hf"] = [str(PEERS / "bin" / "hf"), "--help"]
        return in_rounds({name: _process(slate, command) for name, command in commands.items()}, rounds)


def installed(ground: Ground, rounds: int) -> Runs:
    """`luci install X` where X is there: a sparse file, and the receipt that luci would have written for it."""
    with ground.site() as site, ground.job(site) as job:
        staging = staging_for(job.models, "big.gguf")
        staging.receipt.parent.mkdir(parents=True)
        staging.target.touch()
        os.truncate(staging.target, BIG)
        url, now = site.nginx.url("/big.gguf"), receipt.now()
        mtime = staging.target.stat().st_mtime_ns
        known = Receipt("big.gguf", url, ("big.gguf",), "model", url, DIGEST, "sha256", BIG, mtime, now, now)
        receipt.write(staging.receipt, known)
        return in_rounds({"luci": _process(job, [*LUCI, "install", url, "--sha256", DIGEST])}, rounds)


def first_request(ground: Ground, rounds: int) -> Runs:
    """From the start of `luci install X` to its first request."""
    with ground.site() as site:
        return in_rounds({"luci": partial(_first_request, ground, site.nginx.url("/none"))}, rounds)


def _first_request(ground: Ground, location: str) -> Run:
    with fake_hub(lambda: location, DIGEST, BIG) as hub, ground.slate() as slate, slate.log.open("wb") as log:
        command = [*LUCI, "install", hub.url("big.gguf"), "--sha256", DIGEST]
        start = time.monotonic()
        with subprocess.Popen(command, env=slate.env, stdout=log, stderr=log) as process:
            try:
                asked = wait_until(lambda: hub.asked)
            finally:
                process.kill()
    return Run(asked[0] - start, cpu=0, peak=0)


def _process(slate: Slate, command: list[str]) -> Callable[[], Run]:
    return partial(measure, command, slate.env, slate.log)
