"""A part that begins with what is right of a damaged file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.blocks import BLOCK, BlockHash, Blocks
from luci_dl.disk.part import Part
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, Interrupted, NetworkError
from luci_dl.plan import Segment
from tests.disk.hands import (
    NAME,
    OPTIONS,
    artifact_of,
    assert_ends,
    claimed,
    digest_of,
    gguf,
    install,
    pour,
    remote_of,
    staged,
)

DATA = gguf(5 * BLOCK + 100)
ARTIFACT = artifact_of(DATA)
SIZE = len(DATA)


def blocks_of(data: bytes) -> Blocks:
    """What a receipt would say."""
    hash_ = BlockHash()
    hash_.update(data)
    return hash_.blocks


KNOWN = blocks_of(DATA)


def mend(transaction: Transaction, known: Blocks = KNOWN) -> tuple[Part, list[Segment]]:
    """The part, and what is missing of it, as it would be claimed."""
    transaction.look(ARTIFACT)
    part, missing = transaction.mend(ARTIFACT, known), list[Segment]()
    leases = []
    while lease := part.claim():
        leases.append(lease)
        missing.append(Segment(lease.pos, lease.end))
    for lease in leases:
        part.revoke(lease)
    return part, missing


def damage(folder: Path, change: Callable[[bytearray], None]) -> bytes:
    """Install the file, and change it. Returns: its bytes now."""
    install(folder, (DATA, NAME))
    data = bytearray(DATA)
    change(data)
    (folder / NAME).write_bytes(data)
    return bytes(data)


def flip_two(data: bytearray) -> None:
    data[BLOCK] ^= 1
    data[-1] ^= 1


def cut(data: bytearray) -> None:
    del data[3 * BLOCK - 1 :]


def append(data: bytearray) -> None:
    data.extend(b"more")


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (flip_two, [Segment(BLOCK, 2 * BLOCK), Segment(5 * BLOCK, SIZE)]),
        (cut, [Segment(2 * BLOCK, SIZE)]),
        (append, []),
        (bytearray.clear, [Segment(0, SIZE)]),
    ],
)
def test_only_damaged_blocks_are_missing(
    tmp_path: Path, change: Callable[[bytearray], None], missing: list[Segment]
) -> None:
    """The old file stays until the whole is proved and renamed over it; the receipt has all blocks again."""
    damaged = damage(tmp_path, change)
    with Transaction(tmp_path, [ARTIFACT], options=OPTIONS) as transaction:
        part, found = mend(transaction)
        assert found == missing
        assert part.received == SIZE - sum((segment.end or 0) - segment.start for segment in missing)
        pour(part, DATA)
        assert part.fetched == SIZE - part.received + sum((segment.end or 0) - segment.start for segment in missing)
        assert (tmp_path / NAME).read_bytes() == damaged
        transaction.commit()
    assert (tmp_path / NAME).read_bytes() == DATA
    assert staged(tmp_path) == [f"{NAME}.receipt"]
    assert part.blocks == KNOWN


def test_unknown_blocks_are_missing(tmp_path: Path) -> None:
    """Nothing says that they are right."""
    damage(tmp_path, append)
    known = blocks_of(DATA)
    known[2] = None
    with Transaction(tmp_path, [ARTIFACT], options=OPTIONS) as transaction:
        part, found = mend(transaction, known)
        assert found == [Segment(2 * BLOCK, 3 * BLOCK)]
        pour(part, DATA)
        transaction.commit()
    assert (tmp_path / NAME).read_bytes() == DATA


def test_blocks_prove_nothing(tmp_path: Path) -> None:
    """They are as somebody wrote into the receipt: the digest of the whole is wrong, and the old file stays."""
    damaged = damage(tmp_path, flip_two)

    def act() -> None:
        with Transaction(tmp_path, [ARTIFACT], options=OPTIONS) as transaction:
            _, missing = mend(transaction, blocks_of(damaged))
            assert missing == []
            transaction.commit()

    assert_ends(tmp_path, IntegrityError, act, [f"{NAME}.receipt"])
    assert (tmp_path / NAME).read_bytes() == damaged


def test_what_was_taken_over_is_kept_when_the_network_fails(tmp_path: Path) -> None:
    """The next run resumes the part: it does not need the damaged file."""
    damage(tmp_path, flip_two)

    def act() -> None:
        with Transaction(tmp_path, [ARTIFACT], options=OPTIONS) as transaction:
            pour(mend(transaction)[0], DATA, 2 * BLOCK)
            raise NetworkError("down")

    assert_ends(tmp_path, NetworkError, act, [f"{NAME}.journal", f"{NAME}.part", f"{NAME}.receipt"])
    (tmp_path / NAME).write_bytes(b"")
    with Transaction(tmp_path, [ARTIFACT], options=OPTIONS) as transaction:
        part, missing = mend(transaction)
        assert missing == [Segment(5 * BLOCK, SIZE)]
        pour(part, DATA)
        transaction.commit()
    assert (tmp_path / NAME).read_bytes() == DATA


def test_an_interrupt_while_blocks_are_taken_over_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is left, and no byte is written after that."""
    damaged, token, real = damage(tmp_path, flip_two), CancelToken(), fs.read_at
    monkeypatch.setattr(fs, "clone", lambda _source, _file: False)

    def read_at(file: fs.File, size: int, offset: int) -> bytes:
        if offset == 3 * BLOCK:
            token.cancel(2)
        return real(file, size, offset)

    def act() -> None:
        with Transaction(tmp_path, [ARTIFACT], options=OPTIONS, token=token) as transaction:
            transaction.look(ARTIFACT)
            monkeypatch.setattr(fs, "read_at", read_at)
            transaction.mend(ARTIFACT, KNOWN)

    assert_ends(tmp_path, Interrupted, act, [f"{NAME}.receipt"])
    assert (tmp_path / NAME).read_bytes() == damaged


def test_a_file_that_cannot_be_opened_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing were there."""
    damage(tmp_path, flip_two)
    (tmp_path / NAME).unlink()
    with Transaction(tmp_path, [ARTIFACT], options=OPTIONS) as transaction:
        part, missing = mend(transaction)
        assert missing == [Segment(0, SIZE)]
        pour(part, DATA)
        transaction.commit()
    assert digest_of((tmp_path / NAME).read_bytes()) == ARTIFACT.sha256


def test_a_part_knows_all_its_blocks_in_the_end(tmp_path: Path) -> None:
    """Also those whose bytes came in another order."""
    with Transaction(tmp_path, [ARTIFACT], options=OPTIONS) as transaction:
        part = transaction.open(ARTIFACT)
        first = claimed(part)
        part.begin(first, remote_of(DATA), 0)
        assert part.shorten(first, BLOCK // 2)
        second = claimed(part)
        part.begin(second, remote_of(DATA), second.pos)
        for lease in (second, first):
            part.write(lease, DATA[lease.pos : lease.end])
            part.revoke(lease)
        transaction.commit()
    assert part.blocks == KNOWN
