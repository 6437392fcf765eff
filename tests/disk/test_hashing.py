"""Reading files back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.hashing import hash_file
from luci_dl.errors import Interrupted, StorageError
from tests.disk.hands import KIB, digest_of, gguf

DATA = gguf(64 * KIB)


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
