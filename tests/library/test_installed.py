"""What is installed is what the receipts say, as far as they make sense."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.disk import receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import StorageError
from luci_dl.library.installed import find, installed


def put(folder: Path, *names: str, reference: str = "model", role: str = "model") -> None:
    """Files and receipts of a model, as an install leaves them."""
    for name in names:
        staging = staging_for(folder, name)
        staging.target.parent.mkdir(parents=True, exist_ok=True)
        staging.receipt.parent.mkdir(parents=True, exist_ok=True)
        staging.target.write_bytes(b"model")
        mtime_ns = staging.target.stat().st_mtime_ns
        facts = Receipt(name, reference, names, role, "", "0" * 64, "none", 5, mtime_ns, receipt.now(), receipt.now())
        receipt.write(staging.receipt, facts)


def change(folder: Path, name: str, **facts: object) -> None:
    path = staging_for(folder, name).receipt
    known = receipt.read(path)
    assert known is not None
    receipt.write(path, replace(known, **facts))  # type: ignore[arg-type]


def test_models_of_all_folders_are_found_by_reference_or_file(tmp_path: Path) -> None:
    """The last part of a file's name counts only where no reference and no file has that name."""
    put(tmp_path / "a", "owner/x.gguf", reference="one")
    put(tmp_path / "b", "x.gguf", "y.gguf", reference="two")
    models = installed([tmp_path / "a", tmp_path / "b", tmp_path / "not there"])
    assert [model.reference for model in models] == ["one", "two"]
    for word, found in {"one": ["one"], "y.gguf": ["two"], "x.gguf": ["two"], "owner/x.gguf": ["one"], "z": []}.items():
        assert [model.reference for model in find(models, word)] == found
    assert [model.reference for model in find(models[:1], "x.gguf")] == ["one"]


def test_the_state_is_the_worst_of_the_files(tmp_path: Path) -> None:
    """By size and time alone; a file without receipt is missing."""
    put(tmp_path, "1", "2", "3")
    assert installed([tmp_path])[0].state == "ok"
    os.utime(tmp_path / "3", (1, 1))
    assert installed([tmp_path])[0].state == "touched"
    (tmp_path / "1").write_bytes(b"longer than before")
    assert installed([tmp_path])[0].state == "changed"
    (tmp_path / "2").unlink()
    assert installed([tmp_path])[0].state == "missing"
    put(tmp_path, "1", "2", "3")
    staging_for(tmp_path, "2").receipt.unlink()
    model = installed([tmp_path])[0]
    assert (model.state, model.lost, model.size) == ("missing", ("2",), 10)


def test_the_projector_is_not_the_file_to_load(tmp_path: Path) -> None:
    """Even when it comes first."""
    put(tmp_path, "proj", "model-1", "model-2")
    change(tmp_path, "proj", role="projector")
    assert installed([tmp_path])[0].to_load.path == tmp_path / "model-1"


def test_models_that_share_a_file_are_both_whole(tmp_path: Path) -> None:
    """The file has one receipt, of whichever was installed last."""
    put(tmp_path, "one.gguf", "proj.gguf", reference="one")
    put(tmp_path, "two.gguf", "proj.gguf", reference="two")
    assert [(model.reference, model.state) for model in installed([tmp_path])] == [("one", "ok"), ("two", "ok")]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"v": 99}'])
def test_a_damaged_receipt_is_passed_over(text: str, tmp_path: Path) -> None:
    """So is one that does not name its own file."""
    put(tmp_path, "good")
    put(tmp_path, "bad")
    change(tmp_path, "bad", files=("good",))
    assert [model.names for model in installed([tmp_path])] == [("good",)]
    staging_for(tmp_path, "bad").receipt.write_text(text)
    assert [model.names for model in installed([tmp_path])] == [("good",)]


def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list alone would be wrong."""

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    put(tmp_path, "good")
    monkeypatch.setattr("os.scandir", refuse)
    problems: dict[Path, StorageError] = {}
    assert installed([tmp_path], problems.__setitem__) == []
    assert [(path, error.reason) for path, error in problems.items()] == [(tmp_path / ".luci", "Permission denied")]
