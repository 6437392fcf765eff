"""A model of several files is one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luci_dl.disk import commit
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, StorageError
from tests.disk.hands import (
    KIB,
    OPTIONS,
    artifact_of,
    gguf,
    install,
    is_free,
    pour,
    staged,
)
from tests.disk.steps import DATA

SET = [(DATA, "sub/a.gguf"), (gguf(40 * KIB, seed=1), "sub/b.gguf")]


def test_a_set_is_all_or_none(tmp_path: Path) -> None:
    """If the second file is wrong, the first one is not installed either, and a new folder is removed again."""
    artifacts = [artifact_of(data, name) for data, name in SET]

    def act() -> None:
        with Transaction(tmp_path, artifacts, options=OPTIONS) as transaction:
            pour(transaction.open(artifacts[0]), SET[0][0])
            pour(transaction.open(artifacts[1]), SET[1][0][:-1] + b"!")
            transaction.commit()

    with pytest.raises(IntegrityError):
        act()
    assert staged(tmp_path) == []
    assert all(is_free(tmp_path, name) for _, name in SET)
    assert not (tmp_path / "sub").exists()
    install(tmp_path, *SET)
    assert [(tmp_path / name).read_bytes() for _, name in SET] == [data for data, _ in SET]


def test_a_folder_that_was_made_in_vain_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last step fails."""
    monkeypatch.setattr(commit, "holds", lambda *_: False)
    with pytest.raises(StorageError, match="another program touched"):
        install(tmp_path, SET[0])
    assert not (tmp_path / "sub").exists()
    assert staged(tmp_path) == []


def test_a_set_that_cannot_be_renamed_is_an_error_and_is_completed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is lost, and it is not reported as installed."""
    artifacts, real = [artifact_of(data, name) for data, name in SET], commit.write_record

    def late(*args: Any) -> None:
        real(*args)
        (tmp_path / "sub" / "b.gguf").mkdir()

    def act() -> None:
        with Transaction(tmp_path, artifacts, options=OPTIONS) as transaction:
            for artifact, (data, _) in zip(artifacts, SET, strict=True):
                pour(transaction.open(artifact), data)
            monkeypatch.setattr(commit, "write_record", late)
            transaction.commit()

    with pytest.raises(StorageError, match="Is a directory") as caught:
        act()
    assert "all bytes are there" in caught.value.hint
    assert "sub/b.gguf.part" in staged(tmp_path)
    assert all(is_free(tmp_path, name) for _, name in SET)
    (tmp_path / "sub" / "b.gguf").rmdir()
    with Transaction(tmp_path, artifacts, options=OPTIONS) as transaction:
        assert [transaction.look(artifact).state for artifact in artifacts] == ["installed"] * 2
    assert commit.records_of(tmp_path, [staging_for(tmp_path, "sub/b.gguf")]) == []


def test_one_file_of_a_set_is_replaced_alone(tmp_path: Path) -> None:
    """The other is right already."""
    install(tmp_path, *SET)
    (tmp_path / SET[1][1]).write_text("damaged")
    artifacts = [artifact_of(data, name) for data, name in SET]
    with Transaction(tmp_path, artifacts, options=OPTIONS) as transaction:
        assert [transaction.look(artifact).state for artifact in artifacts] == ["installed", "damaged"]
        pour(transaction.open(artifacts[1]), SET[1][0])
        transaction.commit()
    assert (tmp_path / SET[1][1]).read_bytes() == SET[1][0]
