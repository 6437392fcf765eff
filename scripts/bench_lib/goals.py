"""What the figures must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench_lib.measure import Results, Run, median_count, median_seconds, ratio
from bench_lib.peers import FLOOR
from bench_lib.probes import FETCHED, KILLED_AT
from bench_lib.scenarios import LARGE, LARGE_BYTES, LINES
from bench_lib.start import BARE_PYTHON
from bench_lib.traffic import STORE_LIMIT, WATCHED

Measure = Callable[[Results], float]
"""Raises: LookupError, where something that it needs was not measured."""

RIVALS = ("curl", "aria2c -x16 -k1M", "luci -c 1", "luci -c 4", "luci -c 16")


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
    """The highest of all runs of luci, of this checkout."""
    tools = [results["memory"], *results.values()]  # without its extremes nothing can be said
    mine = [runs[name] for runs in tools for name in runs if name.startswith("luci") and "@" not in name]
    return max(run.peak / 2**20 for runs in mine for run in runs)


def resume_ratio(results: Results) -> float:
    """A resume against hashing what was there and fetching the rest as fast as luci fetches the whole."""
    floor, whole = (median_seconds(_runs(results, "plain", tool)) for tool in (FLOOR, "luci"))
    return median_seconds(_runs(results, "resume", "luci")) / (KILLED_AT * floor + (1 - KILLED_AT) * whole)


def against_best(scenario: str) -> Measure:
    """luci's own choice against the best of its peers and of the numbers that it could have been given."""

    def measure(results: Results) -> float:
        others = [runs for name, runs in results[scenario].items() if name in RIVALS and runs]
        if not others:
            raise LookupError(scenario)
        return ratio(_runs(results, scenario, "luci"), min(others, key=median_seconds))

    return measure


def cpu_a_gib(results: Results) -> float:
    """CPU seconds over those that the digest takes."""
    luci, floor = (median(run.cpu for run in _runs(results, LARGE.name, tool)) for tool in ("luci", FLOOR))
    return (luci - floor) / (LARGE_BYTES / 2**30)


def over_bare_python(results: Results) -> float:
    """Milliseconds."""
    return 1000 * (median_seconds(_runs(results, "help", "luci")) - median_seconds(_runs(results, "help", BARE_PYTHON)))


def counted(scenario: str, tool: str, what: str) -> Measure:
    return lambda results: median_count(_runs(results, scenario, tool), what)


def requests_for_nothing(results: Results) -> float:
    """Those to the origin that neither began the download nor replaced an address that had expired."""
    return max(run.counts["origin"] - 1 - run.counts["expired"] for run in _runs(results, "requests", "luci"))


GOALS = (
    Goal("plain, verified and synced, against SHA-256 alone", 1.2, "×", against(FLOOR, "plain")),
    Goal("plain, against `aria2c -x4 --checksum`", 0.35, "×", against("aria2c -x4 --checksum", "plain")),
    Goal("plain, against `hf download` (no digest, no sync)", 0.45, "×", against("hf download", "plain")),
    Goal("plain, 4 GiB, against `luci -c 1`", 1.1, "×", against("luci -c 1", "large")),
    Goal("plain, 4 GiB, verified and synced, against SHA-256 alone", 1.15, "×", against(FLOOR, "large")),
    Goal("plain, 4 GiB, against curl (no digest, no sync)", 0.6, "×", against("curl", "large")),
    Goal("processor, plain, a GiB over what SHA-256 takes", 0.5, "s", cpu_a_gib),
    Goal("TLS, against curl (no digest, no sync)", 1.3, "×", against("curl", "tls")),
    Goal("20 MB/s per connection, against `aria2c -x16`", 1.15, "×", against("aria2c -x16", "throttled")),
    *(Goal(f"{line.title}: against the best", 1.05, "×", against_best(line.name)) for line in LINES),
    Goal("requests to the origin beyond 1 + one for each expired address, 2 GiB", 0, "", requests_for_nothing),
    Goal(
        "requests to the store, 2 GiB (at most 16 + size / 32 MiB)",
        STORE_LIMIT,
        "",
        counted("requests", "luci", "store"),
    ),
    Goal("300 files of 20 KiB, 20 ms away, against `hf download`", 0.6, "×", against("hf download", "small files")),
    Goal("the same: threads", 64, "", counted("small files", WATCHED, "threads")),
    Goal("the same: descriptors", 256, "", counted("small files", WATCHED, "descriptors")),
    Goal("three bytes flipped, fetched again", 3, "MiB", counted("repair", "luci", FETCHED)),
    Goal("peak resident memory, any size, any connections", 64, "MiB", peak_mib),
    Goal("resume after kill at 90 %, against hashing 90 % and fetching the rest", 1.25, "×", resume_ratio),
    Goal("`luci --help` against `hf --help`", 0.25, "×", against("hf", "help")),
    Goal("`luci --help` over bare Python", 60, "ms", over_bare_python),
    Goal("`luci install X`, X installed (40 GB, sparse)", 120, "ms", milliseconds("installed", "luci")),
    Goal("`luci install X` to its first request", 150, "ms", milliseconds("first request", "luci")),
    Goal("Ctrl+C to gone, 16 connections, TLS, stalled", 300, "ms", milliseconds("interrupt", "luci -c 16")),
)
