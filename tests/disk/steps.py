"""A transaction over one file, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from luci_dl.disk.transaction import Transaction
from luci_dl.events import Event
from luci_dl.plan import Options
from tests.disk.hands import (
    KIB,
    NAME,
    OPTIONS,
    artifact_of,
    gguf,
    pour,
)

DATA = gguf(64 * KIB)
WRONG = DATA[:-1] + bytes([DATA[-1] ^ 1])
KEEP = Options(min_free=0, keep_partial=True)
RECEIPT = f"{NAME}.receipt"
STAY = [f"{NAME}.journal", f"{NAME}.part"]
"""What is kept."""
Step = Callable[[Transaction], object]


def ignore(_event: Event) -> None:
    pass


def run(folder: Path, *steps: Step, options: Options = OPTIONS, emit: Callable[[Event], None] = ignore) -> Transaction:
    """A transaction over one file, of which all is known."""
    transaction = Transaction(folder, [artifact_of(DATA)], options=options, emit=emit)
    with transaction:
        for step in steps:
            step(transaction)
    return transaction


def half(transaction: Transaction) -> None:
    """Fetch the first half."""
    pour(transaction.open(artifact_of(DATA)), DATA, 32 * KIB)


def whole(transaction: Transaction) -> None:
    """Fetch it all."""
    pour(transaction.open(artifact_of(DATA)), DATA)


def finish(transaction: Transaction) -> None:
    """Commit."""
    transaction.commit()


def fail(error: BaseException) -> Step:
    """The block ends with that error."""

    def step(_transaction: Transaction) -> None:
        raise error

    return step
