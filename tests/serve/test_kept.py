"""What the server keeps on disk: whole or not at all, and never more than its limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.disk import fs
from luci_dl.errors import StorageError
from luci_dl.serve.kept import LEAST, Kept


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def test_what_is_written_is_read_also_by_the_next_process(folder: Path) -> None:
    """The newest of a key; nothing else is left in the folder."""
    kept = Kept(folder, 1 << 20)
    assert kept.read("a") is None
    kept.write("a", b"old")
    kept.write("a", b"new")
    kept.write("b", b"other")
    for found in (kept, Kept(folder, 1 << 20)):
        assert (found.read("a"), found.read("b"), found.read("c")) == (b"new", b"other", None)
    assert len(os.listdir(folder)) == 2


@pytest.mark.parametrize("damage", [b"neu", b"ne", b"", None])
def test_a_damaged_file_counts_as_missing(folder: Path, damage: bytes | None) -> None:
    """It is written anew."""
    kept = Kept(folder, 1 << 20)
    file = kept.write("a", b"new")
    if damage is None:
        file.path.unlink()
    else:
        file.path.write_bytes(damage)
    assert kept.read("a") is None
    assert Kept(folder, 1 << 20).find("a") is None
    kept.write("a", b"new")
    assert kept.read("a") == b"new"


def test_a_file_is_hashed_once_and_again_when_it_was_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its mtime, which any write changes."""
    kept = Kept(folder, 1 << 20)
    path = kept.write("a", b"new").path
    reads: list[Path] = []
    read_own = fs.read_own
    monkeypatch.setattr(fs, "read_own", lambda path: reads.append(path) or read_own(path))  # type: ignore[func-returns-value]
    assert [found and found.size for found in (kept.find("a"), kept.find("a"))] == [3, 3]
    assert reads == [path]
    path.write_bytes(b"neu")
    os.utime(path, ns=(1, 1))
    assert kept.find("a") is None


def test_the_least_recently_used_go(folder: Path) -> None:
    """What is too large alone is kept until the next one comes."""
    kept = Kept(folder, 3 * LEAST)
    for key in "abc":
        kept.write(key, b"123")
    assert kept.read("a") == b"123"
    kept.write("d", b"123")
    assert [key for key in "abcd" if kept.read(key)] == ["a", "c", "d"]
    kept.write("e", bytes(4 * LEAST))
    assert [key for key in "acde" if kept.read(key)] == ["e"]
    assert len(os.listdir(folder)) == 1


def test_what_a_killed_process_left_behind_is_removed(folder: Path) -> None:
    """A file that is half written, and one whose successor is there."""
    kept = Kept(folder, 1 << 20)
    old = kept.write("a", b"old").path
    kept.write("a", b"new")
    old.write_bytes(b"old")
    os.utime(old, (1, 1))
    (folder / f"{old.name}.new").write_bytes(b"o")
    assert Kept(folder, 1 << 20).read("a") == b"new"
    assert len(os.listdir(folder)) == 1


def test_a_folder_that_cannot_be_written_is_said(folder: Path) -> None:
    """Nothing is kept, and what is asked for is missing."""
    folder.write_text("a file")
    kept = Kept(folder, 1 << 20)
    with pytest.raises(StorageError, match="folder"):
        kept.write("a", b"new")
    assert kept.read("a") is None
