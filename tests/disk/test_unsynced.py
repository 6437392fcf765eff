"""Folders that cannot be synced: the install is done, and what is not certain about it is said, once."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from luci_dl.disk import fs
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import StorageError
from luci_dl.events import Event, Warned
from tests.disk.hands import KIB, OPTIONS, artifact_of, gguf, is_free, pour, staged

FILES = [(gguf(KIB, seed), f"owner/repo/{seed}.gguf") for seed in range(2)]


def warned(folder: Path) -> list[str]:
    """Install the files as one model. Returns: the warnings."""
    events = list[Event]()
    artifacts = [artifact_of(data, name) for data, name in FILES]
    with Transaction(folder, artifacts, options=OPTIONS, emit=events.append) as transaction:
        for artifact, (data, _) in zip(artifacts, FILES, strict=True):
            pour(transaction.open(artifact), data)
        transaction.commit()
    assert all((folder / name).read_bytes() == data for data, name in FILES)
    assert staged(folder) == [f"{name}.receipt" for _, name in FILES]
    assert all(is_free(folder, name) for _, name in FILES)
    return sorted(event.message for event in events if isinstance(event, Warned))


def test_folders_that_can_be_synced_are_not_worth_a_word(tmp_path: Path) -> None:
    assert warned(tmp_path) == []


def test_a_folder_that_may_not_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be written to, but not be read: also where it only has the folder that was made for the files."""
    real = os.open

    def refuse(path: str | Path, flags: int, *more: int, **named: int) -> int:
        if flags & os.O_DIRECTORY and Path(path) in (tmp_path, tmp_path / "owner" / "repo"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    why = "it may not be opened for reading; a power failure"
    outer, inner = warned(tmp_path)
    assert outer.startswith(f"the folder {tmp_path} cannot be synced: {why}")
    assert inner.startswith(f"the folder {tmp_path}/owner/repo cannot be synced: {why}")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_syncs_no_folders_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Nothing is known of when the names reach the disk; any other failure is an error."""
    real = os.fsync

    def refuse(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(code, os.strerror(code))
        real(fd)

    monkeypatch.setattr(os, "fsync", refuse)
    messages = warned(tmp_path)
    assert [message.split(" cannot be synced: ")[0] for message in messages] == [
        f"the folder {folder}" for folder in (tmp_path, tmp_path / "owner", tmp_path / "owner" / "repo")
    ]
    assert all("its file system does not support that" in message for message in messages)
    code = errno.EIO
    with pytest.raises(StorageError, match="cannot sync the folder"):
        fs.sync_folder(tmp_path)
