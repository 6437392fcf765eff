"""The verdict, and the numbers that it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from luci_dl.machine.fit import REST, Machine, Verdict, this_machine
from luci_dl.machine.graphics import Graphics
from luci_dl.machine.memory import Memory

GB = 10**9
CARD = Graphics(1, Memory(8 * GB, 2 * GB))
TWO = Graphics(2, Memory(8 * GB))
APPLE = Graphics(1, Memory(8 * GB), unified=True)
MAIN = Memory(16 * GB)


@pytest.mark.parametrize(
    ("graphics", "needed", "verdict"),
    [
        (CARD, 8 * GB, Verdict.CARD),
        (CARD, 8 * GB + 1, Verdict.PART),
        (CARD, 24 * GB, Verdict.PART),
        (CARD, 24 * GB + 1, Verdict.NO),
        (TWO, 8 * GB, Verdict.PART),
        (TWO, 8 * GB - REST, Verdict.CARD),
        (APPLE, 16 * GB, Verdict.PART),
        (APPLE, 16 * GB + 1, Verdict.NO),
        (None, 16 * GB, Verdict.MEMORY),
        (None, 16 * GB + 1, Verdict.NO),
    ],
)
def test_the_verdict_goes_by_all_memory(graphics: Graphics | None, needed: int, verdict: Verdict) -> None:
    """Of cards and main memory together, unless they are one; each card needs room for the rest."""
    load = Machine(MAIN, graphics).load(needed - GB - REST, GB)
    assert (load.needed, load.verdict, load.runs) == (needed, verdict, verdict is not Verdict.NO)


def test_without_knowing_the_memory_only_a_card_gives_a_verdict() -> None:
    assert Machine(None, CARD).load(GB).verdict is Verdict.CARD
    assert Machine(None, CARD).load(9 * GB).verdict is None
    assert (Machine(None).load(GB).verdict, Machine(None).load(GB).runs) == (None, None)
    assert Machine(None).load(GB).numbers.endswith("the memory of this machine is unknown")


def test_the_numbers_say_what_is_left_out_and_what_is_free_now() -> None:
    """What is free is only mentioned where it is too little, and would be enough later."""
    machine = Machine(Memory(16 * GB, 15 * GB), CARD)
    assert machine.load(4 * GB, GB, 4096).numbers == (
        "it takes 4.0GB of weights + 1.0GB of cache for 4096 tokens + 537MB for the rest = 5.5GB; "
        "the card has 8.0GB (2.0GB free now), this machine has 16GB of memory"
    )
    assert machine.load(40 * GB).numbers == (
        "it takes 40GB of weights + 537MB for the rest = 41GB without its cache; "
        "the card has 8.0GB, this machine has 16GB of memory"
    )


def test_a_machine_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver may take long to answer."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\necho '8192, 8192'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    first = this_machine(tmp_path)
    assert first.graphics == Graphics(1, Memory(8 << 30, 8 << 30))
    assert this_machine(tmp_path) is first
    assert (tmp_path / "asked").read_text() == "x\n"
