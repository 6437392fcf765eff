"""Taps and terminals that are closed after the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ui.taps import Taps, Terminal


@pytest.fixture
def taps() -> Iterator[Taps]:
    taps = Taps()
    yield taps
    taps.close()


@pytest.fixture
def ascii_taps() -> Iterator[Taps]:
    taps = Taps("ascii", emoji=False)
    yield taps
    taps.close()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()
