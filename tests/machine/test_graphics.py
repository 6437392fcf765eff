"""The memory of graphics cards, by a fake nvidia-smi and a fake /sys."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import pytest

from luci_dl.machine import graphics as tried
from luci_dl.machine.graphics import Graphics, graphics
from luci_dl.machine.memory import Memory

MB, GB = 1 << 20, 1 << 30


@pytest.fixture(autouse=True)
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def nvidia(tools: Path, script: str) -> None:
    path = tools / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def amd(root: Path, card: str, total: object, used: object) -> None:
    device = root / "sys/class/drm" / card / "device"
    device.mkdir(parents=True)
    (device / "mem_info_vram_total").write_text(f"{total}\n")
    (device / "mem_info_vram_used").write_text(f"{used}\n")


def test_the_cards_of_nvidia_are_added_up(tools: Path, tmp_path: Path) -> None:
    """It is asked as its manual says; a card that does not say counts for nothing."""
    nvidia(tools, f'echo "$@" > {tools}/asked\necho "24576, 20480"\necho "8192, 8000"\necho "[N/A], [N/A]"')
    assert graphics(tmp_path, None) == Graphics(2, Memory(32768 * MB, 28480 * MB))
    assert (tools / "asked").read_text() == "--query-gpu=memory.total,memory.free --format=csv,noheader,nounits\n"


@pytest.mark.parametrize(
    "script", ["echo '24576, 20480'; exit 9", "echo 'No devices were found'", "printf '\\377\\n'", "kill -9 $$"]
)
def test_a_tool_that_fails_means_no_card(tools: Path, tmp_path: Path, script: str) -> None:
    nvidia(tools, script)
    assert graphics(tmp_path, None) is None


def test_a_tool_that_cannot_be_run_means_no_card(tools: Path, tmp_path: Path) -> None:
    (tools / "nvidia-smi").write_bytes(b"\x7fELF")
    (tools / "nvidia-smi").chmod(0o755)
    assert graphics(tmp_path, None) is None


def test_a_driver_that_hangs_is_not_awaited(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "_TIMEOUT_S", 0.2)
    nvidia(tools, "exec /bin/sleep 30")
    began = time.monotonic()
    assert graphics(tmp_path, None) is None
    assert time.monotonic() - began < 10


def test_the_cards_of_amd_are_added_up(tmp_path: Path) -> None:
    """Without a part of the processor that has less than a GiB, and what cannot be read."""
    amd(tmp_path, "card0", 16 * GB, GB)
    amd(tmp_path, "card1", 512 * MB, 0)
    amd(tmp_path, "card2", "?", 0)
    assert graphics(tmp_path, None) == Graphics(1, Memory(16 * GB, 15 * GB))


def test_of_two_vendors_the_one_with_more_memory_counts(tools: Path, tmp_path: Path) -> None:
    nvidia(tools, "echo '8192, 8192'")
    amd(tmp_path, "card0", 16 * GB, 0)
    assert graphics(tmp_path, None) == Graphics(1, Memory(16 * GB, 16 * GB))


@pytest.mark.parametrize(("total", "share"), [(36 * GB, 24 * GB), (64 * GB, 48 * GB)])
def test_apple_shares_main_memory(total: int, share: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    found = graphics(tmp_path, Memory(total, 30 * GB))
    assert found == Graphics(1, Memory(share, min(share, 30 * GB)), unified=True)
