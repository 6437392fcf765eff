"""The receipt of an installed file."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luci_dl.disk import fs, receipt
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from tests.disk.strange import JSON, changed
from tests.procs import files_left

MOMENT = "2026-01-01T00:00:00+00:00"
RECEIPT = Receipt("m.gguf", "m", ("m.gguf",), "model", "https://h/m.gguf", "0" * 64, "sha256", 5, 7, MOMENT, MOMENT)


def test_a_receipt_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Atomically, with no other file left."""
    receipt.write(tmp_path / "m.gguf.receipt", RECEIPT)
    assert receipt.read(tmp_path / "m.gguf.receipt") == RECEIPT
    assert files_left(tmp_path) == ["m.gguf.receipt"]


def test_no_receipt_is_none(tmp_path: Path) -> None:
    """The file was not installed by luci."""
    assert receipt.read(tmp_path / "m.gguf.receipt") is None


def test_receipts_of_older_versions_are_read(tmp_path: Path) -> None:
    """They have no digests of blocks; and what a later version adds is skipped."""
    older = {key: value for key, value in asdict(RECEIPT).items() if key != "xxh3"}
    (tmp_path / "r").write_text(json.dumps({**older, "added": "later"}))
    assert receipt.read(tmp_path / "r") == RECEIPT
    assert RECEIPT.blocks.known == 0


@pytest.mark.parametrize(("text", "known"), [("0000abcd", 1), ("--------", 0), ("0000abcd" * 2, 0), ("0000ABCD", 0)])
def test_blocks_are_checked_when_they_are_needed(text: str, known: int) -> None:
    """A text that is none, or is longer than the file, says nothing."""
    assert replace(RECEIPT, xxh3=text).blocks.known == known


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../m.gguf"},
        {"files": ["../m.gguf", "m.gguf"]},
        {"files": []},
        {"files": 5},
        {"size": "5"},
        {"size": True},
        {"mtime_ns": None},
        {"sha256": 5},
        {"url": None},
        {"url": "https://h/\ud800"},
        {"reference": ["m"]},
        {"name": 5, "files": [5]},
        {"files": "m.gguf"},
        {"files": [["m.gguf"]]},
        {"files": {"m.gguf": 1}},
        {"sha256": "0" * 63},
        {"sha256": "x" * 64},
        {"size": -1},
        {"size": 1 << 62},
        {"size": 5.0},
        {"mtime_ns": 1 << 63},
        {"mtime_ns": float("nan")},
        {"xxh3": 5},
    ],
)
def test_a_receipt_with_a_wrong_value_is_none(tmp_path: Path, changes: dict[str, object]) -> None:
    """Other users of the folder may have written anything."""
    (tmp_path / "r").write_text(json.dumps({**asdict(RECEIPT), **changes}))
    assert receipt.read(tmp_path / "r") is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "[]", "\x00" * 100, "[" * 50_000, '{"v": 1}'),
        '{"v": 1, "size": ' + "9" * 5000 + "}",
    ],
)
def test_a_torn_receipt_is_none(tmp_path: Path, text: str) -> None:
    """The file counts as one that luci did not install, and is hashed."""
    (tmp_path / "r").write_text(text)
    assert receipt.read(tmp_path / "r") is None


@pytest.mark.parametrize(("version", "shown"), [(3, "3"), (True, "True"), (1.0, "1.0")])
def test_a_receipt_of_another_format_is_an_error(tmp_path: Path, version: object, shown: str) -> None:
    """It is neither used nor changed."""
    (tmp_path / "r").write_text(json.dumps({**asdict(RECEIPT), "v": version}))
    with pytest.raises(StorageError, match=f"has format {shown}, this luci knows format 2"):
        receipt.read(tmp_path / "r")
    assert files_left(tmp_path) == ["r"]


def is_well_typed(known: Receipt) -> bool:
    """As the annotations of the class promise."""
    texts = (known.name, known.reference, known.role, known.url, known.sha256, known.proof, known.installed)
    return (
        all(isinstance(text, str) and text.encode() is not None for text in (*texts, known.verified, *known.files))
        and type(known.files) is tuple
        and type(known.size) is type(known.mtime_ns) is type(known.v) is int
        and known.size >= 0
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(JSON, changed(asdict(RECEIPT))))
def test_any_json_is_a_receipt_or_none_or_another_format(tmp_path: Path, facts: object) -> None:
    """Another user of the folder, or a later version of luci, may have written it."""
    path = tmp_path / "r"
    path.write_text(json.dumps(facts))
    if isinstance(facts, dict) and not (type(facts.get("v")) is int and facts["v"] in (1, 2)):
        with pytest.raises(StorageError, match="has format"):
            receipt.read(path)
        return
    known = receipt.read(path)
    if known:
        assert is_well_typed(known)
        receipt.write(path, known)
        assert receipt.read(path) == known


@pytest.mark.parametrize("depth", [100, 500, 900, 950, 980, 990, 2000])
def test_a_version_of_any_depth_is_no_traceback(tmp_path: Path, depth: int) -> None:
    """It can be read, perhaps, but not be written into a message."""
    (tmp_path / "r").write_text('{"v": ' + "[" * depth + "]" * depth + "}")
    with contextlib.suppress(StorageError):
        assert receipt.read(tmp_path / "r") is None


def test_a_receipt_that_is_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the check and the read."""
    monkeypatch.setattr(fs, "is_own", lambda _path: True)
    assert receipt.read(tmp_path / "gone") is None


def test_a_file_from_before_1970_has_a_receipt(tmp_path: Path) -> None:
    """A negative time is valid."""
    old = replace(RECEIPT, mtime_ns=-(10**18))
    receipt.write(tmp_path / "r", old)
    assert receipt.read(tmp_path / "r") == old


def test_what_cannot_be_written_is_remembered_in_lucis_own_folder(tmp_path: Path, home: Path) -> None:
    """By the receipt's real path, and only until the receipt itself is newer or another."""
    path, moment = tmp_path / "m.gguf.receipt", "2026-01-02T00:00:00+00:00"
    receipt.write(path, RECEIPT)
    later = replace(RECEIPT, mtime_ns=8, verified=moment)
    receipt.remember(path, later)
    (tmp_path / "link").symlink_to(tmp_path)
    assert receipt.read(path) == receipt.read(tmp_path / "link" / path.name) == later
    assert len(list((home / "receipts").iterdir())) == 1
    for newer in (replace(RECEIPT, verified="2026-01-03T00:00:00+00:00"), replace(RECEIPT, sha256="1" * 64)):
        receipt.write(path, newer)
        assert receipt.read(path) == newer
    path.unlink()
    assert receipt.read(path) is None


def test_lucis_own_folder_is_the_same_for_receipts_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LUCI_HOME may begin with a variable, which is not the name of a folder below the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    monkeypatch.setenv("LUCI_HOME", "$PLACE/luci")
    receipt.remember(tmp_path / "m.gguf.receipt", RECEIPT)
    assert [path.name for path in (tmp_path / "place/luci").iterdir()] == [receipt.REMEMBERED]
    assert not (tmp_path / "$PLACE").exists()


@pytest.mark.parametrize("text", [b"", b"{", b'{"v": 99}'])
def test_a_remembered_receipt_that_makes_no_sense_is_ignored(tmp_path: Path, home: Path, text: bytes) -> None:
    """The one beside the model counts."""
    path = tmp_path / "m.gguf.receipt"
    receipt.write(path, RECEIPT)
    receipt.remember(path, replace(RECEIPT, mtime_ns=8))
    (remembered,) = (home / "receipts").iterdir()
    remembered.write_bytes(text)
    assert receipt.read(path) == RECEIPT


def test_a_receipt_of_version_1_is_read_and_does_not_say_what_was_asked(tmp_path: Path) -> None:
    """Receipts that earlier versions of luci wrote still serve."""
    new = ("asked", "validator", "commit", "kept", "access")
    facts = {name: value for name, value in asdict(RECEIPT).items() if name not in new} | {"v": 1}
    (tmp_path / "m.receipt").write_text(json.dumps(facts))
    found = receipt.read(tmp_path / "m.receipt")
    assert found == replace(RECEIPT, v=1)
    assert found.asked is None


def test_what_was_asked_and_kept_is_read_back(tmp_path: Path) -> None:
    """A receipt remembers the question, and the small files that came with the model."""
    asked = {"include": ["*.json"], "projector": False, "output": "other.gguf"}
    known = replace(RECEIPT, asked=asked, validator='"e"', commit="a" * 40, kept={"manifest": "e30="})
    receipt.write(tmp_path / "m.receipt", known)
    assert receipt.read(tmp_path / "m.receipt") == known


@pytest.mark.parametrize("asked", [[], {"include": 5}, {"include": [["a"]]}, {"output": "\ud800"}, "all"])
def test_an_invalid_question_makes_an_invalid_receipt(tmp_path: Path, asked: object) -> None:
    """Another user of the folder may have written it."""
    (tmp_path / "m.receipt").write_text(json.dumps({**asdict(RECEIPT), "asked": asked}))
    assert receipt.read(tmp_path / "m.receipt") is None
