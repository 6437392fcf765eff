"""Another user of the folder, or a later luci, may have written anything into a journal, with the right checksums."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luci_dl import names
from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, journal
from luci_dl.disk.journal import CommitEntry, Header
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from luci_dl.events import Event, LeftAlone
from luci_dl.library.clean import clean
from tests.disk.hands import NAME, digest_of, gguf, install, is_free, staged
from tests.disk.test_journal import ENTRY, HEADER, RECEIPT, read
from tests.procs import files_left

DATA = gguf(1000)
WORDS = [field.name for kind in (Header, CommitEntry, Receipt) for field in fields(kind)] + [
    *("at", "blocks", "xxh3", "done", "files", "missing")
]
EDGES = [True, False, -1, 0, 1, 1.0, 1 << 63, 10**30, None, "", "m", "../m", "\ud800"]
LEAVES: Any = st.sampled_from(EDGES) | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING: Any = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(), inner, max_size=12),
    max_leaves=30,
)


@st.composite
def nearly(draw: st.DrawFn, fields: dict[str, Any]) -> dict[str, Any]:
    """The right fields, except that some are missing or have any value."""
    changed = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3))
    kept = {key: value for key, value in fields.items() if key not in changed or draw(st.booleans())}
    return {key: draw(LEAVES | ANYTHING) if key in changed else value for key, value in kept.items()}


HEADERS = nearly({"v": 1, **asdict(HEADER)})
ENTRIES = nearly(asdict(ENTRY)) | nearly(asdict(RECEIPT)).map(lambda known: {**asdict(ENTRY), "receipt": known})
LINES = (
    ANYTHING
    | nearly({"at": 1024, "sha256": "0"})
    | nearly({"blocks": 0, "xxh3": "0" * 16})
    | nearly({"missing": [[0, 1]]})
    | ENTRIES.map(lambda entry: {"done": entry})
)


def assert_typed(entry: CommitEntry) -> None:
    assert type(entry.size) is type(entry.inode) is int
    assert min(entry.size, entry.inode) >= 0
    assert isinstance(entry.sha256, str)
    assert isinstance(entry.receipt, Receipt)
    assert entry.record is None or names.check_name(entry.record)


@given(st.just({"v": 1, **asdict(HEADER)}) | HEADERS | ANYTHING, st.lists(LINES, max_size=4))
def test_any_journal_is_typed_or_refused(first: Any, lines: list[Any]) -> None:
    """Every line has its right checksum."""
    try:
        log = read(b"".join(map(journal.encode, [first, *lines])))
    except StorageError:
        return
    if log is None:
        return
    assert names.check_name(log.header.name)
    assert log.header.size is None or (type(log.header.size) is int and log.header.size >= 0)
    assert all(isinstance(text, str) for pair in log.header.validators.items() for text in pair)
    for at, sha256 in log.checkpoints:
        assert type(at) is int
        assert 0 <= at <= (at if log.header.size is None else log.header.size)
        assert isinstance(sha256, str)
    assert all(type(log.blocks[number]) in (int, type(None)) for number in range(len(log.blocks)))
    assert log.header.size is None or 0 <= log.proved <= log.header.size
    if log.entry:
        assert_typed(log.entry)


@given(
    st.just({"v": 1, "files": []}) | ANYTHING | nearly({"v": 1, "files": [{"name": "m.gguf", "done": asdict(ENTRY)}]}),
    st.lists(ENTRIES, max_size=2),
)
def test_any_commit_record_is_typed_or_refused(record: Any, entries: list[Any]) -> None:
    """The same, for a file that can cause renames."""
    if isinstance(record, dict) and isinstance(record.get("files"), list):
        record["files"] = [*record["files"], *({"name": "n.gguf", "done": entry} for entry in entries)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.commit"
        path.write_bytes(journal.encode(record))
        try:
            files = commit.read_record(path)
        except StorageError:
            return
    for name, entry in files or []:
        assert names.check_name(name)
        if entry:
            assert_typed(entry)


def planted(folder: Path, line: dict[str, Any], part: bool) -> None:
    """A file without receipt, a journal that ends in that line, and perhaps a part."""
    staging = staging_for(folder, NAME)
    staging.part.parent.mkdir(parents=True)
    staging.target.write_bytes(DATA)
    if part:
        staging.part.write_bytes(DATA)
    header = Header(NAME, len(DATA), digest_of(DATA))
    staging.journal.write_bytes(journal.encode({"v": 1, **header.to_json()}) + journal.encode(line))


@pytest.mark.parametrize(
    "line", [{"done": {**asdict(ENTRY), "receipt": {"v": 1}, "record": None}}, {"at": -1, "sha256": "0"}]
)
@pytest.mark.parametrize("part", [True, False])
def test_clean_and_install_ignore_a_last_line_of_the_wrong_shape(
    tmp_path: Path, line: dict[str, Any], part: bool
) -> None:
    """It counts as a torn one."""
    planted(tmp_path / "cleaned", line, part)
    clean(tmp_path / "cleaned", None, False, CancelToken(), lambda _event: None)
    assert files_left(tmp_path / "cleaned") == [NAME]
    planted(tmp_path / "installed", line, part)
    install(tmp_path / "installed", (DATA, NAME))
    assert staged(tmp_path / "installed") == [f"{NAME}.receipt"]


@pytest.mark.parametrize("part", [True, False])
def test_clean_and_install_leave_a_last_line_of_another_format_alone(tmp_path: Path, part: bool) -> None:
    """And say so."""
    planted(tmp_path, {"done": {**asdict(ENTRY), "receipt": {"v": 3}, "record": None}}, part)
    before, heard = staged(tmp_path), list[Event]()
    clean(tmp_path, None, False, CancelToken(), heard.append)
    assert any(isinstance(event, LeftAlone) and "has format 3" in event.reason for event in heard)
    with pytest.raises(StorageError, match="has format 3"):
        install(tmp_path, (DATA, NAME))
    assert staged(tmp_path) == before
    assert is_free(tmp_path)
