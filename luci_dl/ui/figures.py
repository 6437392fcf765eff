"""Numbers, times and names as a person reads them."""

from __future__ import annotations

import math

CUT = "…"


def percent(done: int, total: int) -> int:
    """Whole percent, rounded down: 100 means all of it."""
    return min(100, done * 100 // total) if total > 0 else 100


def seconds_left(done: int | None, total: int | None, rate: float | None) -> int | None:
    """Seconds until `total` at this rate; None when that cannot be told."""
    if done is None or total is None or rate is None or not 1 <= rate < math.inf:
        return None
    return -(-max(0, total - done) // int(rate))


def clock(seconds: int) -> str:
    """0:10, 12:05 or 1:02:03."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def about(seconds: int) -> str:
    """A time to wait, in the one unit that says enough."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"


def cut_middle(text: str, room: int, mark: str = CUT) -> str:
    """`text` in at most `room` characters; its end, where a file's quant stands, stays readable."""
    if len(text) <= room:
        return text
    keep = max(0, room - len(mark))
    tail = keep - keep // 3
    return text[: keep - tail] + mark[:room] + text[len(text) - tail :]
