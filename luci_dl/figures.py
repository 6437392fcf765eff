"""Percentages and times for people."""

from __future__ import annotations

import math


def percent(done: int, total: int) -> int:
    """Whole percent, rounded down: 100 means all of it."""
    return min(100, done * 100 // total) if total > 0 else 100


def seconds_left(done: int | None, total: int | None, rate: float | None) -> int | None:
    """Seconds until `total` at this rate; None if unknown."""
    if done is None or total is None or rate is None or not 1 <= rate < math.inf:
        return None
    return -(-max(0, total - done) // int(rate))


def clock(seconds: int) -> str:
    """0:10, 12:05 or 1:02:03."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def about(seconds: int) -> str:
    """A duration, rounded to one unit."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"
