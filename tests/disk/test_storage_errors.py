"""System errors become errors of luci, and one function words the lack of room."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from luci_dl.disk import fs
from luci_dl.disk.storage_errors import no_room, room_figures, storage_errors
from luci_dl.errors import CannotHold, NoRoom, StorageError
from tests.disk.hands import attribute, small_disk

RESERVE = "and 1.0GB must stay free (min_free in config.json)"


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (errno.ENOSPC, NoRoom, "luci clean"),
        (errno.EFBIG, CannotHold, "FAT32"),
        (errno.EACCES, StorageError, "owns the folder"),
        (errno.ENOLCK, StorageError, "does not support locks"),
        (errno.EIO, StorageError, "dmesg"),
        (errno.ESTALE, StorageError, "mount it again"),
        (errno.ENOTCONN, StorageError, "mount it again"),
        (errno.ELOOP, StorageError, "circle"),
        (errno.EROFS, CannotHold, "mount it writable"),
        (errno.EISDIR, StorageError, "A folder stands where a file"),
        (errno.ENOENT, StorageError, "deleted"),
        (errno.ENOSYS, StorageError, "does not support that"),
    ],
)
def test_the_kind_and_the_hint_follow_from_the_error_number(code: int, kind: type[StorageError], hint: str) -> None:
    """The message has the system's own words, and the cause is kept."""
    with pytest.raises(StorageError) as caught, storage_errors("write", "/models/x"):
        raise OSError(code, os.strerror(code))
    assert type(caught.value) is kind
    assert caught.value.message == f"cannot write /models/x: {os.strerror(code)}"
    assert caught.value.reason == os.strerror(code)
    assert hint in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_what_an_attribute_forbids_is_not_blamed_on_the_owner(tmp_path: Path, where: str) -> None:
    """Not even root may change it; of a file that could be deleted its folder may be the reason."""
    path = tmp_path / "x"
    path.touch()
    with attribute("i", path if where == "file" else tmp_path), pytest.raises(CannotHold) as caught:
        fs.unlink(path)
    which = "it" if where == "file" else f"the folder {tmp_path}"
    assert caught.value.message == f"cannot delete {path}: {which} is immutable"
    assert "chattr -i" in caught.value.hint
    assert caught.value.reason == os.strerror(errno.EPERM)
    assert path.exists()


def test_a_quota_is_a_lack_of_its_own() -> None:
    """The disk may have room."""
    with pytest.raises(NoRoom) as caught, storage_errors("write", "/proc/x"):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    assert caught.value.message == "cannot write /proc/x: your quota on /proc allows no more"
    assert (caught.value.lack, caught.value.reason) == ("quota", os.strerror(errno.EDQUOT))


def test_a_disk_with_bytes_but_no_inodes_says_so(tmp_path: Path) -> None:
    """The system has one word for both; of what is not there yet, the folder above is asked."""
    with small_disk(tmp_path / "disk", 1 << 20, inodes=2) as disk:
        (disk / "x").touch()
        with pytest.raises(NoRoom) as caught:
            fs.make_folder(disk / "y" / "z")
        assert caught.value.message == f"cannot make the folder {disk / 'y'}: no inodes are left on {disk}"
        assert (caught.value.lack, caught.value.reason) == ("inodes", os.strerror(errno.ENOSPC))
        assert "no more files" in caught.value.hint
        (disk / "x").write_bytes(bytes(1 << 20))
        with pytest.raises(NoRoom, match=r"No space left on device$"):
            fs.append(disk / "x", b"more")


def test_an_error_without_a_number_keeps_its_own_words() -> None:
    """A library may raise one."""
    with pytest.raises(StorageError, match=r"cannot write x: out of luck$"), storage_errors("write", "x"):
        raise OSError("out of luck")


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (room_figures(5_200_000, 3_100_000), "5.2MB needed, 3.1MB free"),
        (room_figures(None, 3_100_000), "3.1MB free"),
        (room_figures(5_200_000, 0, at_least=True), "at least 5.2MB needed, 0B free"),
        (room_figures(5_000_000, 9_000_000, 10**9), f"5.0MB needed, 9.0MB free, {RESERVE}"),
        (room_figures(None, 0, 10**9, other_downloads=5), f"0B free, of which other downloads need 5B, {RESERVE}"),
    ],
)
def test_room_figures_say_only_what_is_known(figures: str, expected: str) -> None:
    """What is zero or not known is left out."""
    assert figures == expected


def test_no_room_is_an_error_that_has_its_figures() -> None:
    """Nobody adds them a second time."""
    error = no_room("m.gguf in /models", 5_200_000, 3_100_000)
    assert error.message == "no room for m.gguf in /models: 5.2MB needed, 3.1MB free"
    assert (error.has_figures, error.reason, error.exit_code) == (True, os.strerror(errno.ENOSPC), 6)
    assert "luci clean" in error.hint
