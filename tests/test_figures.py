from __future__ import annotations

import math

import pytest

from luci_dl.figures import about, clock, percent, seconds_left


def test_hundred_percent_means_all() -> None:
    """Percentages are rounded down, and an empty file is complete."""
    assert [percent(0, 9), percent(1999, 2000), percent(2000, 2000), percent(0, 0)] == [0, 99, 100, 100]


@pytest.mark.parametrize("rate", [None, 0.0, 0.5, -1.0, math.nan, math.inf])
def test_time_left_is_unknown_without_a_sensible_rate(rate: float | None) -> None:
    """A lock file may say anything."""
    assert seconds_left(1, 2, rate) is None


def test_times_read_as_people_write_them() -> None:
    """Seconds, minutes and hours."""
    assert [clock(10), clock(725), clock(3723)] == ["0:10", "12:05", "1:02:03"]
    assert [about(59), about(120), about(3 * 3600)] == ["59 s", "2 min", "3 h"]
    assert seconds_left(1, 100, 98.0) == 2
