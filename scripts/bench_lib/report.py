"""The figures as tables, in Markdown that also reads well in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench_lib.goals import GOALS, Goal
from bench_lib.measure import Results, Run, Runs, median_count, median_seconds, ratio
from bench_lib.peers import Tool

YES, NO = "✓", "–"


def scenario_table(runs: Runs, tools: Mapping[str, Tool]) -> str:
    """Every tool of a scenario, the fastest first."""
    header = ["", "median s", "min – max", "× luci", "CPU s", "peak MiB", "digest", "sync"]
    names = sorted((name for name in runs if runs[name]), key=lambda name: median_seconds(runs[name]))
    return table(header, [_row(tools[name], runs[name], runs.get("luci", [])) for name in names])


def _row(tool: Tool, runs: Sequence[Run], of_luci: Sequence[Run]) -> list[str]:
    return [
        tool.name,
        *_seconds(runs),
        f"{ratio(runs, of_luci):.2f}" if of_luci else NO,
        _cpu(runs),
        _peak(runs),
        YES if tool.digest else NO,
        YES if tool.sync else NO,
    ]


def _seconds(runs: Sequence[Run]) -> tuple[str, str]:
    seconds = [run.seconds for run in runs]
    return f"{median(seconds):.2f}", f"{min(seconds):.2f} – {max(seconds):.2f}"


def _cpu(runs: Sequence[Run]) -> str:
    seconds = median(run.cpu for run in runs)
    return f"{seconds:.2f}" if seconds else NO


def _peak(runs: Sequence[Run]) -> str:
    peak = max(run.peak for run in runs)
    return f"{peak / 2**20:.0f}" if peak else NO


def _counts(runs: Sequence[Run]) -> str:
    return ", ".join(f"{name} {median_count(runs, name):.3g}" for name in runs[0].counts) or NO


def probes_table(results: Results) -> str:
    """What was measured of luci alone, or of the start."""
    rows = [
        [f"{probe}: {name}", *_seconds(runs), _cpu(runs), _peak(runs), _counts(runs)]
        for probe, by_name in results.items()
        for name, runs in by_name.items()
        if runs
    ]
    return table(["", "median s", "min – max", "CPU s", "peak MiB", "counted"], rows)


def goals_table(results: Results) -> str:
    return table(["goal", "measured", "at most", ""], [_goal(goal, goal.measured(results)) for goal in GOALS])


def _goal(goal: Goal, measured: float | None) -> list[str]:
    if measured is None:
        return [goal.what, "not measured", _figure(goal.limit, goal.unit), NO]
    return [
        goal.what,
        _figure(measured, goal.unit),
        _figure(goal.limit, goal.unit),
        YES if measured <= goal.limit else "✗",
    ]


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit in ("×", "s") else f"{value:.0f} {unit}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_line(row, widths) for row in (header, ruler, *rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([cells[0].ljust(widths[0]), *others])} |"
