"""Another library writes into a part, and luci takes over what it wrote."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk.blocks import BLOCK
from luci_dl.plan import Revoked, Segment
from tests.disk.hands import artifact_of, digest_of, gguf, opened, part_at, pour, verified
from tests.procs import wait_until

DATA = gguf(4 * BLOCK + 5)


def test_what_is_placed_in_any_order_is_hashed_and_verified(tmp_path: Path) -> None:
    """The digest is that of the bytes on disk."""
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    with part.lent() as fd:
        for start in (4 * BLOCK, BLOCK, 0, 3 * BLOCK, 2 * BLOCK):
            os.pwrite(fd, DATA[start : start + BLOCK], start)
            part.place(start, min(start + BLOCK, len(DATA)))
    assert (part.received, part.fetched, part.missing) == (len(DATA), len(DATA), [])
    assert verified(part) == digest_of(DATA)
    assert part.remove()


def test_what_comes_otherwise_joins_what_is_placed(tmp_path: Path) -> None:
    """A fetch from a server fills the gaps."""
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    with part.lent() as fd:
        os.pwrite(fd, DATA[BLOCK : 3 * BLOCK], BLOCK)
        part.place(BLOCK, 3 * BLOCK)
    assert part.missing == [Segment(0, BLOCK), Segment(3 * BLOCK, len(DATA))]
    pour(part, DATA)
    assert verified(part) == digest_of(DATA)
    assert part.remove()


def test_placed_bytes_are_resumed_wherever_they_are(tmp_path: Path) -> None:
    """The journal has their blocks, also beyond the frontier."""
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    with part.lent() as fd:
        os.pwrite(fd, DATA[2 * BLOCK : 4 * BLOCK], 2 * BLOCK)
        part.place(2 * BLOCK, 4 * BLOCK)
    assert part.suspend(time.monotonic() + 10) == 2 * BLOCK
    again = part_at(tmp_path, artifact_of(DATA))
    again.open(True, CancelToken(), lambda _done: None)
    assert again.missing == [Segment(0, 2 * BLOCK), Segment(4 * BLOCK, len(DATA))]
    assert again.remove()


def test_only_free_bytes_are_taken_over(tmp_path: Path) -> None:
    """What has a writer, or is there, stays what it is."""
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    pour(part, DATA, BLOCK)
    with part.lent(), pytest.raises(Revoked):
        part.place(0, 2 * BLOCK)
    assert part.received == BLOCK
    assert part.remove()


def test_closing_waits_for_the_other_writer(tmp_path: Path) -> None:
    """A part that somebody may still change is not kept."""
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    with part.lent() as fd:
        os.pwrite(fd, DATA[:BLOCK], 0)
        part.place(0, BLOCK)
        wait_until(lambda: part.frontier == BLOCK)
        with pytest.raises(TimeoutError):
            part.suspend(time.monotonic() + 0.3)
        with pytest.raises(Revoked):
            part.place(BLOCK, 2 * BLOCK)
    assert part.remove()
    with pytest.raises(Revoked), part.lent():
        pass
