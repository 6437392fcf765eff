"""Whether a model fits this machine, as far as that is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.catalog.fit import Fit, Machine, this_machine
from luci_dl.model import Artifact, Model
from tests.disk.hands import free_on

GB = 10**9


def model(size: int | None) -> Model:
    return Model("m", (Artifact("m.gguf", ("https://h/m.gguf",), size),))


@pytest.mark.parametrize(
    ("size", "free", "memory", "fit"),
    [
        (5 * GB, 5 * GB, 6 * GB, Fit(disk=True, memory=True)),
        (5 * GB, 5 * GB - 1, 6 * GB - 1, Fit(disk=False, memory=False)),
        (5 * GB, None, None, Fit(disk=None, memory=None)),
        (None, 5 * GB, 6 * GB, Fit(disk=None, memory=None)),
        (0, 0, 0, Fit(disk=True, memory=True)),
    ],
)
def test_a_model_fits_the_disk_as_it_is_and_the_memory_with_a_fifth_more(
    size: int | None, free: int | None, memory: int | None, fit: Fit
) -> None:
    """Unknown values stay unknown."""
    assert Machine(free, memory).fit(model(size), installed=False) == fit


@pytest.mark.parametrize("size", [5 * GB, None])
def test_an_installed_model_has_room_on_the_disk(size: int | None) -> None:
    """It takes no more of it."""
    assert Machine(0, None).fit(model(size), installed=True) == Fit(disk=True, memory=None)


def test_the_reserve_does_not_count_as_free(tmp_path: Path) -> None:
    """Free space is never negative; the models folder need not exist."""
    free = free_on(tmp_path)
    reserve = free // 2
    found = this_machine(tmp_path / "not" / "there", reserve).free
    assert found is not None
    assert abs(found - (free - reserve)) < free // 4  # others write, too
    assert this_machine(tmp_path, 1 << 60).free == 0


def test_the_memory_is_that_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly as in /proc/meminfo; None if the system does not report it."""
    (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]
    found = this_machine(tmp_path, 0).memory
    assert found is not None
    assert abs(found - int(line.split()[1]) * 1024) < found // 10

    def silent(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", silent)
    assert this_machine(tmp_path, 0).memory is None
