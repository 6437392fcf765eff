"""What the figures must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench_lib.measure import Results, Run, median_seconds, ratio
from bench_lib.peers import FLOOR
from bench_lib.probes import KILLED_AT

Measure = Callable[[Results], float]
"""Raises: LookupError, where something that it needs was not measured."""


@dataclass(frozen=True)
class Goal:
    """Something to measure and the most that it may be, in `unit`."""

    what: str
    limit: float
    unit: str
    measure: Measure

    def measured(self, results: Results) -> float | None:
        """None when it was not measured."""
        try:
            return self.measure(results)
        except LookupError:
            return None


def _runs(results: Results, scenario: str, tool: str) -> list[Run]:
    if runs := results[scenario][tool]:
        return runs
    raise LookupError(tool)


def against(other: str, scenario: str) -> Measure:
    return lambda results: ratio(_runs(results, scenario, "luci"), _runs(results, scenario, other))


def milliseconds(scenario: str, tool: str) -> Measure:
    return lambda results: 1000 * median_seconds(_runs(results, scenario, tool))


def peak_mib(results: Results) -> float:
    """The highest of all runs of luci."""
    tools = [results["memory"], *results.values()]  # without its extremes nothing can be said
    return max(run.peak / 2**20 for runs in tools for name in runs if name.startswith("luci") for run in runs[name])


def resume_ratio(results: Results) -> float:
    """A resume against hashing what was there and fetching the rest as fast as luci fetches the whole."""
    floor, whole = (median_seconds(_runs(results, "plain", tool)) for tool in (FLOOR, "luci"))
    return median_seconds(_runs(results, "resume", "luci")) / (KILLED_AT * floor + (1 - KILLED_AT) * whole)


GOALS = (
    Goal("plain, verified and synced, against SHA-256 alone", 1.2, "×", against(FLOOR, "plain")),
    Goal("plain, against `aria2c -x4 --checksum`", 0.35, "×", against("aria2c -x4 --checksum", "plain")),
    Goal("plain, against `hf download` (no digest, no sync)", 0.45, "×", against("hf download", "plain")),
    Goal("TLS, against curl (no digest, no sync)", 1.3, "×", against("curl", "tls")),
    Goal("20 MB/s per connection, against `aria2c -x16`", 1.15, "×", against("aria2c -x16", "throttled")),
    Goal("peak resident memory, any size, any connections", 64, "MiB", peak_mib),
    Goal("resume after kill at 90 %, against hashing 90 % and fetching the rest", 1.25, "×", resume_ratio),
    Goal("`luci --help` against `hf --help`", 0.25, "×", against("hf", "start")),
    Goal("`luci install X`, X installed (40 GB, sparse)", 150, "ms", milliseconds("installed", "luci")),
    Goal("Ctrl+C to gone, 16 connections, TLS, stalled", 300, "ms", milliseconds("interrupt", "luci -c 16")),
)
