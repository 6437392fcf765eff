"""The receipt of an installed file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luci_dl.disk import receipt
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from tests.procs import files_left

MOMENT = "2026-01-01T00:00:00+00:00"
RECEIPT = Receipt("m.gguf", "m", ("m.gguf",), "model", "https://h/m.gguf", "0" * 64, "sha256", 5, 7, MOMENT, MOMENT)


def test_a_receipt_is_read_as_it_was_written(tmp_path: Path) -> None:
    """At one stroke, with nothing beside it."""
    receipt.write(tmp_path / "m.gguf.receipt", RECEIPT)
    assert receipt.read(tmp_path / "m.gguf.receipt") == RECEIPT
    assert files_left(tmp_path) == ["m.gguf.receipt"]


def test_no_receipt_is_none(tmp_path: Path) -> None:
    """The file was not installed by luci."""
    assert receipt.read(tmp_path / "m.gguf.receipt") is None


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
    ],
)
def test_a_receipt_that_makes_no_sense_is_none(tmp_path: Path, changes: dict[str, object]) -> None:
    """Another user of the folder may have written anything."""
    (tmp_path / "r").write_text(json.dumps({**RECEIPT.to_json(), **changes}))
    assert receipt.read(tmp_path / "r") is None


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "\x00" * 100, "[" * 50_000, '{"v": 1}'])
def test_a_torn_receipt_is_none(tmp_path: Path, text: str) -> None:
    """The file counts as one that luci did not install, and is hashed."""
    (tmp_path / "r").write_text(text)
    assert receipt.read(tmp_path / "r") is None


def test_a_receipt_of_another_format_is_said(tmp_path: Path) -> None:
    """It is neither used nor changed."""
    (tmp_path / "r").write_text(json.dumps({**RECEIPT.to_json(), "v": 2}))
    with pytest.raises(StorageError, match="has format 2, this luci knows format 1"):
        receipt.read(tmp_path / "r")
    assert files_left(tmp_path) == ["r"]
