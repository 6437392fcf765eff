"""One command as a whole process, from its start to its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

LAUNCHER = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py"))]

Runs = dict[str, list["Run"]]
"""The runs of each tool, one a round; the runs of one round have one index."""
Results = dict[str, Runs]
"""The runs of each scenario."""


class BenchError(Exception):
    """A measurement that cannot be made, and why."""


@dataclass(frozen=True)
class Run:
    """What one run took: seconds on the clock and of CPU (user and system), peak resident memory in bytes.

    `counts` is what was counted besides, by name: requests, bytes, threads.
    """

    seconds: float
    cpu: float
    peak: int
    counts: Mapping[str, float] = field(default_factory=dict)


def measure(command: Sequence[str], env: Mapping[str, str], log: Path, within: Sequence[str] = ()) -> Run:
    """Run the command to its end, its output into `log`. A peak below some 10 MB cannot be told from the launcher's.

    `within` is a command that runs it elsewhere; what that takes is not counted.

    Raises: BenchError, when the command fails.
    """
    ended = subprocess.run(
        [*within, *LAUNCHER, str(log), *command], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if ended.returncode:
        raise BenchError(f"{command[0]} does not start: {ended.stderr.strip()}")
    seconds, cpu, kib, code = ended.stdout.split()
    if code != "0":
        raise BenchError(f"exit code {code}: {log.read_text(errors='replace')[-500:].strip()}")
    return Run(float(seconds), float(cpu), int(kib) << 10)


def median_seconds(runs: Sequence[Run]) -> float:
    return median(run.seconds for run in runs)


def median_count(runs: Sequence[Run], name: str) -> float:
    return median(run.counts[name] for run in runs)


def ratio(runs: Sequence[Run], others: Sequence[Run]) -> float:
    """How many times as long as the others: the median of the rounds' ratios, for a round's noise hits both."""
    return median(run.seconds / other.seconds for run, other in zip(runs, others, strict=True))
