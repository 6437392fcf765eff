"""What fits this machine is said as far as it is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.catalog.fit import Fit, Machine, this_machine
from luci_dl.disk import space
from luci_dl.model import Artifact, Model

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
    """What is not known stays unsaid."""
    assert Machine(free, memory).fit(model(size), installed=False) == fit


@pytest.mark.parametrize("size", [5 * GB, None])
def test_an_installed_model_has_room_on_the_disk(size: int | None) -> None:
    """It has it already."""
    assert Machine(0, None).fit(model(size), installed=True) == Fit(disk=True, memory=None)


def test_the_reserve_is_not_free(tmp_path: Path) -> None:
    """Nor is a disk smaller than empty; the models folder need not be there yet."""
    free = space.free_bytes(tmp_path)
    reserve = free // 2
    told = this_machine(tmp_path / "not" / "there", reserve).free
    assert told is not None
    assert abs(told - (free - reserve)) < free // 4  # others write, too
    assert this_machine(tmp_path, 1 << 60).free == 0


def test_the_memory_is_that_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As /proc/meminfo has it, nearly; None where the system does not say."""
    (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]
    told = this_machine(tmp_path, 0).memory
    assert told is not None
    assert abs(told - int(line.split()[1]) * 1024) < told // 10

    def silent(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", silent)
    assert this_machine(tmp_path, 0).memory is None
