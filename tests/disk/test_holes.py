"""Bytes beyond the first missing one count, too, and any bytes can be made missing again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luci_dl.cancel import CancelToken
from luci_dl.disk import backlog, buffers, journal
from luci_dl.disk.blocks import BLOCK, BlockHash
from luci_dl.disk.part import Part
from luci_dl.errors import IntegrityError
from luci_dl.plan import Lease, Segment
from tests.disk.hands import (
    artifact_of,
    claimed,
    digest_of,
    gguf,
    opened,
    part_at,
    pour,
    remote_of,
    suspended,
    unproved,
    verified,
)
from tests.procs import wait_until

DATA = gguf(8 * BLOCK + 4321)
PIECE = 2 * BLOCK


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync for each block, and nothing stays in memory for the hash."""
    monkeypatch.setattr(backlog, "SYNC_EVERY", BLOCK)
    monkeypatch.setattr(backlog, "NEAR", 0)
    monkeypatch.setattr(buffers, "LARGE", BLOCK // 2)


def fill(part: Part, lease: Lease, upto: int | None = None, data: bytes = DATA) -> None:
    """Fetch the lease's bytes, or those up to an offset."""
    part.begin(lease, remote_of(DATA), lease.pos)
    end = lease.end if upto is None else upto
    assert end is not None
    while lease.pos < end:
        part.write(lease, data[lease.pos : min(end, lease.pos + 300_000)])
    part.revoke(lease)


def with_gap(part: Part) -> Part:
    """Its second piece is there, and of the third one a block and a half; the first is missing."""
    opened(part)
    _, second, third = [claimed(part, PIECE) for _ in range(3)]
    fill(part, second)
    fill(part, third, 2 * PIECE + BLOCK * 3 // 2)
    return part


def ranges(part: Part) -> list[tuple[int, int | None]]:
    """What is missing."""
    return [(segment.start, segment.end) for segment in part._writer.ranges.missing]


def test_blocks_beyond_a_gap_are_kept(tmp_path: Path) -> None:
    """Whole ones; they are not fetched again, and the file is right."""
    kept = suspended(with_gap(part_at(tmp_path, artifact_of(DATA))))
    assert kept == 3 * BLOCK
    log = journal.read(part_at(tmp_path, artifact_of(DATA)).staging.journal)
    assert log
    assert log.proved == kept
    part = part_at(tmp_path, artifact_of(DATA))
    assert opened(part) == 0
    assert part.received == kept
    assert ranges(part) == [(0, PIECE), (5 * BLOCK, len(DATA))]
    pour(part, DATA)
    assert verified(part) == digest_of(DATA)
    assert part.fetched == len(DATA) - kept
    part.remove()


def test_a_kill_costs_no_more_than_what_was_not_synced(tmp_path: Path) -> None:
    """The journal has the blocks as soon as they are on disk, though the hash waits for the first byte."""
    killed = with_gap(part_at(tmp_path, artifact_of(DATA)))
    wait_until(lambda: (log := journal.read(killed.staging.journal)) and log.proved >= 2 * BLOCK)
    killed.close()
    part = part_at(tmp_path, artifact_of(DATA))
    opened(part)
    assert part.received >= 2 * BLOCK
    pour(part, DATA)
    assert verified(part) == digest_of(DATA)
    part.remove()


def test_without_a_digest_of_the_whole_nothing_beyond_a_gap_is_kept(tmp_path: Path) -> None:
    """Nothing would show that the blocks belong together."""
    artifact = unproved(size=len(DATA))
    assert suspended(with_gap(part_at(tmp_path, artifact))) == 0
    part = part_at(tmp_path, replace(artifact, sha256=digest_of(DATA)))
    assert opened(part) == part.received == 0
    part.remove()


def complete(folder: Path, data: bytes = DATA) -> Part:
    part = part_at(folder, artifact_of(DATA))
    opened(part)
    pour(part, data, block=300_000)
    return part


@pytest.mark.parametrize("lost", [[(0, 1)], [(BLOCK, 2 * BLOCK), (5 * BLOCK - 1, 5 * BLOCK + 1)], [(0, len(DATA))]])
def test_what_is_forgotten_is_fetched_again(tmp_path: Path, lost: list[tuple[int, int]]) -> None:
    """Nothing else; the hash begins below it, and the blocks are known again."""
    wrong = bytearray(DATA)
    for start, _ in lost:
        wrong[start] ^= 0xFF if start else 0
    part = complete(tmp_path, bytes(wrong))
    if bytes(wrong) != DATA:
        with pytest.raises(IntegrityError):
            verified(part)
    part.forget([Segment(start, end) for start, end in lost])
    assert part.received == len(DATA) - sum(end - start for start, end in lost)
    pour(part, DATA)
    assert verified(part) == digest_of(DATA)
    assert part.fetched == len(DATA) + sum(end - start for start, end in lost)
    assert_blocks_are_right(part)
    part.remove()


def assert_blocks_are_right(part: Part) -> None:
    sums = BlockHash()
    sums.update(DATA)
    assert all(part.blocks[number] in (None, sums.blocks[number]) for number in range(9))


def test_what_is_forgotten_is_missing_after_a_kill(tmp_path: Path) -> None:
    """The journal says so, whatever it said before."""
    part = complete(tmp_path)
    verified(part)
    part.forget([Segment(3 * BLOCK, 4 * BLOCK)])
    part.close()
    part = part_at(tmp_path, artifact_of(DATA))
    assert opened(part) == 3 * BLOCK
    assert ranges(part) == [(3 * BLOCK, 4 * BLOCK)]
    pour(part, DATA)
    assert verified(part) == digest_of(DATA)
    part.remove()


def test_blocks_of_wrong_bytes_do_not_make_a_file(tmp_path: Path) -> None:
    """All of them are as the journal says, and the file is still refused; so it is after a kill."""
    wrong = DATA[:-1] + bytes([DATA[-1] ^ 1])
    for _ in range(2):
        part = part_at(tmp_path, artifact_of(DATA))
        opened(part)
        pour(part, wrong, block=300_000)
        with pytest.raises(IntegrityError, match="are wrong"):
            verified(part)
        part.close()
    part = part_at(tmp_path, artifact_of(DATA))
    assert opened(part) == len(DATA)
    part.forget()
    pour(part, DATA)
    assert verified(part) == digest_of(DATA)
    part.remove()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_pieces_in_any_order_and_any_damage_end_in_the_right_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Kept and damaged at any time, it resumes with what is right; no wrong byte passes, no block digest is wrong."""
    folder = tmp_path_factory.mktemp("any")
    for _ in range(data.draw(st.integers(1, 3))):
        part = part_at(folder, artifact_of(DATA))
        opened(part)
        leases = [part.claim(data.draw(st.integers(1, PIECE))) for _ in range(data.draw(st.integers(0, 4)))]
        for lease in data.draw(st.permutations([lease for lease in leases if lease])):
            assert lease.end
            fill(part, lease, data.draw(st.integers(lease.pos, lease.end)))
        received, kept = part.received, suspended(part)
        assert kept <= received
        if not kept:
            part.remove()
            continue
        for at in data.draw(st.lists(st.integers(0, len(DATA) - 1), max_size=2)):
            with part.staging.part.open("r+b") as file:
                file.seek(at)
                file.write(bytes([DATA[at] ^ 0xFF]))
    part = part_at(folder, artifact_of(DATA))
    opened(part)
    pour(part, DATA, block=300_000)
    assert part.verify(CancelToken()) == digest_of(DATA)
    assert part.staging.part.read_bytes() == DATA
    assert_blocks_are_right(part)
    part.remove()
