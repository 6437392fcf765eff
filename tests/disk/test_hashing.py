"""Reading files back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.hashing import hash_file, longest_prefix
from luci_dl.errors import Interrupted, StorageError
from tests.disk.hands import KIB, digest_of, gguf

DATA = gguf(64 * KIB)
CHECKPOINTS = tuple((at, digest_of(DATA[:at])) for at in (16 * KIB, 32 * KIB, 48 * KIB))


def prefix(path: Path, data: bytes, checkpoints: tuple[tuple[int, str], ...] = CHECKPOINTS) -> int:
    path.write_bytes(data)
    file = fs.open_own(path)
    assert file
    offset, sha = longest_prefix(file, checkpoints, CancelToken(), lambda _done: None)
    assert sha.hexdigest() == digest_of(data[:offset])
    return offset


def test_the_longest_prefix_that_a_mark_proves_is_kept(tmp_path: Path) -> None:
    """Its hash is the one to continue with; checkpoints may come in any order."""
    assert prefix(tmp_path / "m", DATA) == 48 * KIB
    assert prefix(tmp_path / "m", DATA, CHECKPOINTS[::-1]) == 48 * KIB


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


def test_a_file_is_hashed_whole_and_through_symlinks(tmp_path: Path) -> None:
    """Any size, also none."""
    (tmp_path / "m").write_bytes(DATA)
    (tmp_path / "link").symlink_to("m")
    (tmp_path / "empty").touch()
    assert hash_file(tmp_path / "link", CancelToken(), lambda _done: None) == (digest_of(DATA), len(DATA))
    assert hash_file(tmp_path / "empty", CancelToken(), lambda _done: None) == (digest_of(b""), 0)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """In the system's words."""
    with pytest.raises(StorageError, match="cannot read"):
        hash_file(tmp_path / "nothing", CancelToken(), lambda _done: None)
    with pytest.raises(StorageError, match="Is a directory"):
        hash_file(tmp_path, CancelToken(), lambda _done: None)


def test_hashing_is_interrupted_at_once_and_reports_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even while a read hangs."""
    (tmp_path / "m").write_bytes(DATA)
    token, reported, go = CancelToken(), list[int](), threading.Event()

    def hang(_file: fs.File, _size: int, offset: int) -> bytes:
        if offset:
            assert go.wait(10)
        return DATA[: 16 * KIB]

    def hear(done: int) -> None:
        reported.append(done)
        token.cancel()

    monkeypatch.setattr(fs, "read_at", hang)
    with pytest.raises(Interrupted):
        hash_file(tmp_path / "m", token, hear)
    assert reported == [16 * KIB]
    go.set()
