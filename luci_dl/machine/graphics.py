"""The memory of graphics cards: of NVIDIA by its own tool, of AMD by the kernel, of Apple a share of main memory."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from luci_dl.frozen import frozen
from luci_dl.machine.memory import Memory

_QUERY = ("--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits")
_TIMEOUT_S = 3
_LEAST = 1 << 30
"""A card with less is a part of the processor, which uses main memory."""


@frozen
class Graphics:
    """All graphics cards together, since llama.cpp splits a model over them.

    Attributes:
        unified: their memory is a part of main memory.
    """

    cards: int
    memory: Memory
    unified: bool = False


def graphics(root: Path, main: Memory | None) -> Graphics | None:
    """The graphics cards of the vendor that has the most memory here; None without any."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return None if main is None else Graphics(1, _apple(main), unified=True)
    vendors = [_together(_nvidia()), _together(_amd(root))]
    return max(filter(None, vendors), key=lambda found: found.memory.total, default=None)


def _together(cards: Sequence[Memory]) -> Graphics | None:
    cards = [card for card in cards if card.total >= _LEAST]
    if not cards:
        return None
    free = [card.free for card in cards if card.free is not None]
    total = sum(card.total for card in cards)
    return Graphics(len(cards), Memory(total, sum(free) if len(free) == len(cards) else None))


def _nvidia() -> list[Memory]:
    """As nvidia-smi lists them; none if it is absent, fails, or gives no answer in time."""
    if (program := shutil.which("nvidia-smi")) is None:
        return []
    cards = []
    for line in _output_of([program, *_QUERY]).splitlines():
        with suppress(ValueError):  # "[N/A]"
            total, free = (int(number) << 20 for number in line.split(","))
            cards.append(Memory(total, free))
    return cards


def _output_of(command: Sequence[str]) -> str:
    """What the program prints if it succeeds in time. A driver may hang where no signal ends it: it is not awaited."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError:
        return ""
    try:
        output = process.communicate(timeout=_TIMEOUT_S)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        if process.stdout:
            process.stdout.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        return ""
    return output.decode(errors="replace") if process.returncode == 0 else ""


def _amd(root: Path) -> list[Memory]:
    cards = []
    for path in sorted((root / "sys/class/drm").glob("card*/device/mem_info_vram_total")):
        with suppress(OSError, ValueError):
            total = int(path.read_text())
            used = int(path.with_name("mem_info_vram_used").read_text())
            cards.append(Memory(total, max(0, total - used)))
    return cards


def _apple(main: Memory) -> Memory:
    """The share of main memory that Metal recommends to use: two thirds up to 36 GiB, three quarters above."""
    total = main.total * 2 // 3 if main.total <= 36 << 30 else main.total * 3 // 4
    return Memory(total, None if main.free is None else min(total, main.free))
