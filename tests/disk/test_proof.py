"""What of an unfinished file counts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.blocks import BLOCK, BlockHash
from luci_dl.disk.journal import Header, Log
from luci_dl.disk.proof import Proof, prove
from luci_dl.plan import Segment
from tests.disk.hands import KIB, NAME, digest_of, gguf, xxh3_of

DATA = gguf(64 * KIB)
CHECKPOINTS = tuple((at, digest_of(DATA[:at])) for at in (16 * KIB, 32 * KIB, 48 * KIB))


def proved(path: Path, data: bytes, log: Log) -> Proof:
    """What counts of a part with these bytes and that journal."""
    path.write_bytes(data)
    file = fs.open_own(path)
    assert file
    proof = prove(file, log, CancelToken(), lambda _done: None)
    assert all(sha.hexdigest() == digest_of(data[:offset]) for offset, sha in proof.states)
    return proof


def prefix(path: Path, data: bytes, checkpoints: tuple[tuple[int, str], ...] = CHECKPOINTS) -> int:
    """The same, with no digests of blocks."""
    proof = proved(path, data, Log(Header(NAME, len(DATA), digest_of(DATA)), checkpoints, None, 0))
    assert proof.missing == [Segment(proof.offset, len(DATA))]
    return proof.offset


def test_the_longest_prefix_that_a_mark_proves_is_kept(tmp_path: Path) -> None:
    """Its hash is the one to continue with; checkpoints may come in any order."""
    assert prefix(tmp_path / "m", DATA) == 48 * KIB
    assert prefix(tmp_path / "m", DATA, CHECKPOINTS[::-1]) == 48 * KIB


def test_a_block_goes_on_where_the_last_good_checkpoint_is_in_it(tmp_path: Path) -> None:
    """Its digest, too, though more of it was read, up to a checkpoint that proved wrong."""
    checkpoints = (CHECKPOINTS[0], (32 * KIB, digest_of(b"other")))
    log = Log(Header(NAME, len(DATA), digest_of(DATA)), checkpoints, None, 0)
    proof = proved(tmp_path / "m", DATA, log)
    proof.sums.add(proof.offset, DATA[proof.offset :], len(DATA))
    assert (proof.offset, proof.sums.blocks[0]) == (16 * KIB, xxh3_of(DATA))


def test_without_a_checkpoint_nothing_is_verified(tmp_path: Path) -> None:
    """Whatever the file contains."""
    assert prefix(tmp_path / "m", DATA, ()) == 0


@pytest.mark.parametrize(("at", "kept"), [(0, 0), (16 * KIB - 1, 0), (16 * KIB, 16 * KIB), (48 * KIB - 1, 32 * KIB)])
def test_a_wrong_byte_costs_what_comes_after_the_last_good_checkpoint(tmp_path: Path, at: int, kept: int) -> None:
    """Flipped, or zeroed with its page; beyond the last checkpoint it does not matter."""
    wrong = bytearray(DATA)
    wrong[at] ^= 0xFF
    assert prefix(tmp_path / "m", bytes(wrong)) == kept
    page = at - at % 4096
    assert prefix(tmp_path / "m", DATA[:page] + bytes(4096) + DATA[page + 4096 :]) == kept


@pytest.mark.parametrize(("size", "kept"), [(0, 0), (16 * KIB - 1, 0), (16 * KIB, 16 * KIB), (47 * KIB, 32 * KIB)])
def test_a_missing_end_costs_what_comes_after_the_last_good_checkpoint(tmp_path: Path, size: int, kept: int) -> None:
    """The part was cut."""
    assert prefix(tmp_path / "m", DATA[:size]) == kept


def test_a_wrong_mark_does_not_hide_a_right_one(tmp_path: Path) -> None:
    """A line from before an earlier resume may stand beside the one that is true now."""
    assert prefix(tmp_path / "m", DATA, (*CHECKPOINTS, (16 * KIB, "0" * 64), (48 * KIB, "f" * 64))) == 48 * KIB


STEP = 64 * KIB
LARGE = gguf(6 * BLOCK + 12345)
SHAS = [digest_of(LARGE[:at]) for at in range(0, len(LARGE), BLOCK // 2)]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_what_counts_is_what_is_there(data: st.DataObject) -> None:
    """Whichever blocks are damaged, cut off or unknown: a checkpoint or a digest proves each byte that counts."""
    checkpoints = data.draw(st.sets(st.integers(1, len(SHAS) - 1), max_size=4))
    damaged = data.draw(st.sets(st.integers(0, len(LARGE) - 1), max_size=3))
    end = data.draw(st.sampled_from([len(LARGE), len(LARGE) - 1, 4 * BLOCK + 5, 0]))
    sums = BlockHash()
    sums.update(LARGE)
    for number in data.draw(st.sets(st.integers(0, 6), max_size=3)):
        sums.blocks[number] = None
    there = bytearray(LARGE[:end])
    for at in damaged:
        there[at : at + 1] = bytes([LARGE[at] ^ 0xFF])[: max(0, end - at)]
    lines = tuple((half * BLOCK // 2, SHAS[half]) for half in sorted(checkpoints))
    log = Log(Header(NAME, len(LARGE), digest_of(LARGE)), lines, None, 0, sums.blocks)
    with tempfile.TemporaryDirectory() as folder:
        proof = proved(Path(folder) / "m", bytes(there), log)
    pages = {at for segment in proof.missing for at in range(segment.start // STEP, count(segment.end or 0, STEP))}
    assert all(same(there, at, STEP) for at in range(count(len(LARGE), STEP)) if at not in pages)
    assert proof.end <= end
    lacking = {at for at in range(7) if sums.blocks[at] is None or not same(there, at, BLOCK)}
    assert {segment.start // BLOCK for segment in proof.missing} <= lacking
    assert all(None in (pair := (proof.sums.blocks[at], sums.blocks[at])) or pair[0] == pair[1] for at in range(7))


def same(there: bytearray, number: int, length: int) -> bool:
    return there[number * length :][:length] == LARGE[number * length :][:length]


def count(size: int, length: int) -> int:
    return -(-size // length)


def test_without_a_digest_of_the_whole_only_the_beginning_counts(tmp_path: Path) -> None:
    """Nothing would show that the blocks beyond are of the same version."""
    sums = BlockHash()
    sums.update(LARGE)
    line = (BLOCK // 2 * 3, SHAS[3])
    log = Log(Header(NAME, len(LARGE), None, {}, {"https://h/m": '"v"'}), (line,), None, 0, sums.blocks)
    assert proved(tmp_path / "m", LARGE, log).missing == [Segment(line[0], len(LARGE))]
    log = Log(Header(NAME, None, digest_of(LARGE)), (line,), None, 0, sums.blocks)
    assert proved(tmp_path / "m", LARGE, log).missing == [Segment(line[0], None)]
