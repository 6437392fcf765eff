"""Whether a model fits the graphics cards or the main memory of a machine, and with which numbers."""

from __future__ import annotations

import functools
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from luci_dl.frozen import frozen
from luci_dl.machine.memory import ROOT, Memory, main_memory
from luci_dl.text import human_size

if TYPE_CHECKING:
    from luci_dl.machine.graphics import Graphics

CONTEXT = 8192
"""Tokens that a model remembers, if nobody says otherwise."""
REST = 1 << 29
"""Bytes that a model takes besides its weights and its cache, on each card or in main memory."""


class Verdict(Enum):
    """Where a model can run, the best first."""

    CARD = "fits the card"
    PART = "part on the processor"
    MEMORY = "fits memory"
    NO = "does not fit"

    @property
    def word(self) -> str:
        """The same in one word, for tables."""
        return {"CARD": "card", "PART": "partly", "MEMORY": "memory", "NO": "no"}[self.name]


@frozen
class Machine:
    """Memory to run models in; None if there is none, or if it is unknown."""

    memory: Memory | None
    graphics: Graphics | None = None

    def load(self, weights: int, cache: int | None = None, context: int = CONTEXT, *, estimated: bool = False) -> Load:
        """Whether a model fits.

        Args:
            weights: bytes of its files, with all shards and the projector.
            cache: bytes of its KV cache for `context` tokens; None if that is unknown, then it is left out.
            estimated: the weights are an estimate.
        """
        return Load(weights, cache, context, self, estimated)


@frozen
class Load:
    """What a model takes, on a machine. The verdict goes by all memory, used or not."""

    weights: int
    cache: int | None
    context: int
    machine: Machine
    estimated: bool = False

    @property
    def needed(self) -> int:
        """Bytes that it takes to run the model, in one place."""
        return self.weights + (self.cache or 0) + REST

    @property
    def verdict(self) -> Verdict | None:
        """Where it can run; None if the memory of the machine is unknown."""
        memory, cards = self.machine.memory, self.machine.graphics
        if cards and self.needed + (cards.cards - 1) * REST <= cards.memory.total:
            return Verdict.CARD
        if memory is None:
            return None
        beside = cards.memory.total if cards and not cards.unified else 0
        if self.needed > memory.total + beside:
            return Verdict.NO
        return Verdict.PART if cards else Verdict.MEMORY

    @property
    def runs(self) -> bool | None:
        """Whether it runs at all; None if that is unknown."""
        return None if self.verdict is None else self.verdict is not Verdict.NO

    @property
    def numbers(self) -> str:
        """The sum that the verdict comes from, and what there is of it here."""
        parts = [f"{'about ' if self.estimated else ''}{human_size(self.weights)} of weights"]
        if self.cache is not None:
            parts.append(f"{human_size(self.cache)} of cache for {self.context} tokens")
        sum_ = f"{' + '.join(parts)} + {human_size(REST)} for the rest = {human_size(self.needed)}"
        without = " without its cache" if self.cache is None else ""
        return f"it takes {sum_}{without}; {self._places}"

    @property
    def _places(self) -> str:
        memory, cards = self.machine.memory, self.machine.graphics
        of_cards = cards and ("the card has" if cards.cards == 1 else f"{cards.cards} cards have")
        places = [f"{of_cards} {self._amount(cards.memory)}"] if cards else []
        if memory:
            places.append(f"this machine has {self._amount(memory)} of memory")
        return ", ".join(places) or "the memory of this machine is unknown"

    def _amount(self, memory: Memory) -> str:
        """How much there is, and how much of it is free where that is less than the model takes."""
        total = human_size(memory.total)
        if memory.free is None or memory.free >= self.needed or memory.total < self.needed:
            return total
        return f"{total} ({human_size(memory.free)} free now)"


@functools.cache
def this_machine(root: Path = ROOT) -> Machine:
    """The machine that luci runs on, looked at once in a run. May take three seconds, if a driver hangs."""
    from luci_dl.machine.graphics import graphics  # slow to load

    memory = main_memory(root)
    return Machine(memory, graphics(root, memory))
