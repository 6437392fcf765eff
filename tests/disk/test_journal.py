"""The journal: whatever happens to its bytes, reading returns a prefix of what was written."""

from __future__ import annotations

import functools
import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl.disk import journal
from luci_dl.disk.block_sums import runs_of
from luci_dl.disk.blocks import BLOCK
from luci_dl.disk.journal import CommitEntry, Header, Log
from luci_dl.disk.journal_writer import Journal
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from luci_dl.plan import Segment
from tests.procs import files_left

HEADER = Header("a/m.gguf", 4096, "0" * 64, {}, {"https://h/m.gguf": '"v1"'})
CHECKPOINTS = tuple((at, f"{at:064x}") for at in (1024, 2048, 3072, 4096))
RECEIPT = Receipt("a/m.gguf", "m", ("a/m.gguf",), "model", "", "f" * 64, "sha256", 4096, 5, "then", "then")
ENTRY = CommitEntry(4096, "f" * 64, 77, RECEIPT, "a/first.gguf")


@functools.cache
def written() -> bytes:
    """A whole journal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.journal"
        log = Journal(path)
        log.begin(HEADER)
        for at, sha256 in CHECKPOINTS:
            log.record(checkpoint=(at, sha256))
        log.finish(ENTRY)
        return path.read_bytes()


def read(data: bytes) -> Log | None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "m.journal").write_bytes(data)
        return journal.read(Path(folder) / "m.journal")


def assert_is_a_prefix(log: Log | None) -> None:
    if log:
        assert log.header == HEADER
        assert log.checkpoints == CHECKPOINTS[: len(log.checkpoints)]
        assert log.entry is None or (log.entry == ENTRY and log.checkpoints == CHECKPOINTS)
        assert written()[: log.end].endswith(b"\n")


def test_a_journal_is_read_as_it_was_written() -> None:
    """The header, every checkpoint in its order, and the end."""
    assert read(written()) == Log(HEADER, CHECKPOINTS, ENTRY, len(written()))


def test_any_cut_leaves_a_prefix_of_the_lines() -> None:
    """Every length a crash may leave."""
    for end in range(len(written())):
        assert_is_a_prefix(read(written()[:end]))


@given(st.data())
def test_any_wrong_bytes_leave_a_prefix_of_the_lines(data: st.DataObject) -> None:
    """A flipped bit, a zeroed page, a line end that became another one."""
    raw = bytearray(written())
    start = data.draw(st.integers(0, len(raw) - 1))
    raw[start : start + data.draw(st.sampled_from((1, 1, 2, 512)))] = data.draw(st.binary(min_size=1, max_size=4))
    assert_is_a_prefix(read(bytes(raw)))


@given(st.binary(max_size=200))
def test_garbage_is_no_journal(data: bytes) -> None:
    """It causes no traceback."""
    assert read(data) is None
    assert_is_a_prefix(read(written() + data))


def test_no_journal_is_none(tmp_path: Path) -> None:
    """There is nothing to resume."""
    assert journal.read(tmp_path / "m.journal") is None


def test_resuming_cuts_off_what_is_torn(tmp_path: Path) -> None:
    """The next line follows the last good one."""
    path = tmp_path / "m.journal"
    path.write_bytes(written()[: -len(written().splitlines(keepends=True)[-1]) - 5])
    log = journal.read(path)
    assert log
    more = Journal(path)
    more.resume(log)
    more.record(checkpoint=CHECKPOINTS[-1])
    assert journal.read(path) == Log(HEADER, CHECKPOINTS, None, path.stat().st_size)


def test_beginning_takes_another_file_than_the_one_that_is_there(tmp_path: Path) -> None:
    """A thread that still writes to the old journal writes to a file without a name."""
    path = tmp_path / "m.journal"
    old, new = Journal(path), Journal(path)
    old.begin(HEADER)
    new.begin(HEADER)
    old.record(checkpoint=(1024, "wrong"))
    old.finish(ENTRY)
    assert journal.read(path) == Log(HEADER, (), None, path.stat().st_size)


def test_a_journal_of_another_format_is_left_alone_and_said(tmp_path: Path) -> None:
    """Its luci may know what it means."""
    path = tmp_path / "m.journal"
    path.write_bytes(journal.encode({"v": 2, "anything": "else"}))
    with pytest.raises(StorageError, match="has format 2, this luci knows format 1"):
        journal.read(path)
    assert files_left(tmp_path) == ["m.journal"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "m.gguf"},
        {"name": "../m.gguf", "size": 1, "sha256": None, "lfs_pointer_sha1": None},
        {"name": "m.gguf", "size": "1", "sha256": None, "lfs_pointer_sha1": None},
        {"name": "m.gguf", "size": 1, "sha256": None, "lfs_pointer_sha1": None, "validators": []},
        {"name": "m.gguf", "size": 1, "sha256": None, "lfs_pointer_sha1": None, "more": 1},
        {"name": ["m.gguf"], "size": 1, "sha256": None, "lfs_pointer_sha1": None},
        {"name": "m.gguf", "size": -1, "sha256": None, "lfs_pointer_sha1": None},
        {"name": "m.gguf", "size": True, "sha256": None, "lfs_pointer_sha1": None},
        {"name": "m.gguf", "size": 1 << 70, "sha256": None, "lfs_pointer_sha1": None},
        {"name": "m.gguf", "size": 1, "sha256": 5, "lfs_pointer_sha1": None},
        {"name": "m.gguf", "size": 1, "sha256": None, "lfs_pointer_sha1": None, "validators": {"https://h/m": 5}},
    ],
)
def test_a_header_that_makes_no_sense_is_no_header(tmp_path: Path, fields: Mapping[str, Any]) -> None:
    """Another user of the folder may have written anything, with a checksum that is right."""
    path = tmp_path / "m.journal"
    path.write_bytes(journal.encode({"v": 1, **fields}))
    assert journal.read(path) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"at": "1024", "sha256": "0"},
        {"at": 1024},
        {"at": -1024, "sha256": "0"},
        {"at": True, "sha256": "0"},
        {"at": 1.5, "sha256": "0"},
        {"at": 4097, "sha256": "0"},
        {"at": 1024, "sha256": 0},
        {"done": {}},
        {"done": {**asdict(ENTRY), "size": -1}},
        {"done": {**asdict(ENTRY), "inode": True}},
        {"done": {**asdict(ENTRY), "sha256": None}},
        {"done": {**asdict(ENTRY), "record": 5}},
        {"done": {**asdict(ENTRY), "record": ["a"]}},
        {"done": {**asdict(ENTRY), "receipt": {**asdict(RECEIPT), "files": 5}}},
        {"done": {**asdict(ENTRY), "receipt": {**asdict(RECEIPT), "name": "b.gguf"}}},
        {"done": {**asdict(ENTRY), "receipt": {**asdict(RECEIPT), "url": None}}},
        {"done": {**asdict(ENTRY), "more": 1}},
        {"done": 5},
        {"done": {"size": 1, "sha256": "0", "inode": 1, "receipt": {}, "record": "/etc/passwd"}},
        {"done": {"size": 1, "sha256": "0", "inode": 1, "receipt": {}, "record": "../../secret"}},
        {"done": {"size": "1", "sha256": "0", "inode": 1, "receipt": {}, "record": None}},
        {"done": {"size": 1, "sha256": "0", "inode": 1, "receipt": [], "record": None}},
        {"blocks": 1, "xxh3": "0" * 8},
        {"blocks": -1, "xxh3": "0" * 8},
        {"blocks": 0, "xxh3": "0" * 7},
        {"blocks": 0, "xxh3": 5},
        {"missing": []},
        {"missing": [[1, 1]]},
        {"missing": [[0]]},
        {"missing": [[-1, 1]]},
        {"missing": 5},
        {"else": 1},
    ],
)
def test_a_line_that_makes_no_sense_ends_the_reading(fields: Mapping[str, Any]) -> None:
    """As a torn one does; a record outside the folder is not even opened."""
    log = read(written() + journal.encode(fields) + journal.encode({"at": 5000, "sha256": "0"}))
    assert log == Log(HEADER, CHECKPOINTS, ENTRY, len(written()))


def test_a_receipt_of_another_format_in_the_last_line_is_left_alone_and_reported(tmp_path: Path) -> None:
    """A later luci has verified this part, and only that one knows the format."""
    path = tmp_path / "m.journal"
    line = journal.encode({"done": {**asdict(ENTRY), "receipt": {"v": 3, "anything": "else"}}})
    path.write_bytes(written() + line)
    with pytest.raises(StorageError, match="has format 3, this luci knows format 2"):
        journal.read(path)
    assert files_left(tmp_path) == ["m.journal"]


def test_a_right_checksum_of_no_json_is_no_line() -> None:
    """It causes no traceback."""
    text = b"[" * 100_000
    assert journal.decode(b"%08x %b\n" % (zlib.crc32(text), text)) is None
    assert journal.decode(journal.encode({"a": "ü\n"})) == {"a": "ü\n"}
    assert json.loads(journal.encode({"a": 1})[9:]) == {"a": 1}


def test_digests_of_another_kind_count_as_unknown(tmp_path: Path) -> None:
    """What an older version wrote of blocks is passed over; the lines behind it count."""
    path = tmp_path / "m.journal"
    path.write_bytes(written())
    for kind, known in (("crc32", None), ("xxh3", 1)):
        path.write_bytes(path.read_bytes() + journal.encode({"blocks": 0, kind: "00000001"}))
        found = journal.read(path)
        assert found
        assert found.blocks[0] == known


def test_what_one_sync_made_sure_is_recorded_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in between, a resume would know less than is there."""
    log = Journal(tmp_path / "m.journal")
    log.begin(Header("m.gguf", 4 * BLOCK, "0" * 64))
    write = mock.Mock(side_effect=os.pwrite)
    monkeypatch.setattr(os, "pwrite", write)
    log.record([(0, "00000001"), (2, "00000003")], (BLOCK, "a"))
    assert write.call_count == 1
    found = journal.read(log.path)
    assert found
    assert (found.checkpoints, found.blocks.known) == (((BLOCK, "a"),), 2)


def test_blocks_are_remembered_until_they_are_missing(tmp_path: Path) -> None:
    """The last line about a block counts, and what is beyond a missing byte is proved by blocks only."""
    size = 4 * BLOCK + 5
    log = Journal(tmp_path / "m.journal")
    log.begin(Header("m.gguf", size, "0" * 64))
    log.record(checkpoint=(BLOCK, "a"))
    log.record([(3, "00000003" + "00000004")])
    log.record([(1, "00000001" + "-" * 8)], (2 * BLOCK, "b"))
    found = journal.read(log.path)
    assert found
    assert [found.blocks[number] for number in range(6)] == [None, 1, None, 3, 4, None]
    assert found.proved == 3 * BLOCK + 5
    log.forget([Segment(BLOCK + 1, BLOCK + 2), Segment(4 * BLOCK, size)])
    log.record([(4, "00000005")])
    found = journal.read(log.path)
    assert found
    assert found.checkpoints == ((BLOCK, "a"),)
    assert [found.blocks[number] for number in range(6)] == [None, None, None, 3, 5, None]
    assert found.proved == 2 * BLOCK + 5


def test_the_journal_of_a_large_file_stays_small() -> None:
    """A MiB at most for one of 40 GiB, however its blocks came, and no line is long."""
    numbers = range(40 * 1024)
    lines = [{"blocks": first, "xxh3": "0" * 8 * (end - first)} for first, end in runs_of(numbers)]
    lines += [{"blocks": number, "crc32": "0" * 256} for number in numbers[::32]]
    lines += [{"at": number << 20, "sha256": "0" * 64} for number in numbers[::32]]
    encoded = [*map(journal.encode, lines)]
    assert sum(map(len, encoded)) < 1 << 20
    assert max(map(len, encoded)) < 5000
