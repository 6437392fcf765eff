"""How much main memory programs may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.machine.memory import Memory, main_memory

GB = 1 << 30


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 64 GiB, of which 48 can be used now."""
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 64 * GB >> 12, "SC_PAGE_SIZE": 4096}.__getitem__)
    write(tmp_path / "proc/meminfo", f"MemTotal: {64 << 20} kB\nMemAvailable:   {48 << 20} kB\n")
    return tmp_path


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_the_memory_is_that_of_the_system(root: Path) -> None:
    assert main_memory(root) == Memory(64 * GB, 48 * GB)


def test_the_memory_of_this_machine_is_about_what_the_kernel_says() -> None:
    """Or less, in a container."""
    (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]
    found = main_memory()
    assert found is not None
    assert 0 < found.total <= int(line.split()[1]) * 1024
    assert found.free is not None
    assert 0 < found.free <= found.total


@pytest.mark.parametrize("group", ["/", "/kube/pod/box"])
def test_the_least_limit_of_a_container_and_those_around_it_counts(root: Path, group: str) -> None:
    """The page cache in it is free; "max" is no limit."""
    write(root / "proc/self/cgroup", f"0::{group}")
    folder = root / "sys/fs/cgroup" / group.strip("/")
    write(folder / "memory.max", "max")
    assert main_memory(root) == Memory(64 * GB, 48 * GB)
    above = folder.parent if group != "/" else folder
    write(above / "memory.max", 8 * GB)
    write(above / "memory.current", 6 * GB)
    write(above / "memory.stat", f"anon 7\ninactive_file {4 * GB}\n")
    assert main_memory(root) == Memory(8 * GB, 6 * GB)


def test_limits_of_the_first_version_count_as_well(root: Path) -> None:
    """They have another place and other names; an absurd number is no limit."""
    write(root / "proc/self/cgroup", "12:cpu,cpuacct:/box\n5:memory:/box\n0::/")
    write(root / "sys/fs/cgroup/memory/memory.limit_in_bytes", (1 << 63) - 4096)
    write(root / "sys/fs/cgroup/memory/box/memory.limit_in_bytes", 2 * GB)
    write(root / "sys/fs/cgroup/memory/box/memory.usage_in_bytes", GB)
    assert main_memory(root) == Memory(2 * GB, GB)


def test_without_a_word_of_the_system_the_memory_is_unknown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", silent)
    assert main_memory(root) is None
