"""The calls that change the disk."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from luci_dl.disk import fs
from luci_dl.errors import NoRoom, StorageError
from tests.disk.hands import small_disk
from tests.procs import files_left


def test_every_os_error_becomes_a_storage_error_in_the_systems_words(tmp_path: Path) -> None:
    """The message names what failed and where, and the cause is kept."""
    with pytest.raises(StorageError, match=r"cannot read .*/nothing: No such file or directory") as caught:
        fs.open_to_read(tmp_path / "nothing")
    assert caught.value.reason == "No such file or directory"
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert caught.value.exit_code == 6


def test_make_folder_returns_the_folders_that_it_made(tmp_path: Path) -> None:
    """Outermost first, so that they can be removed in reverse."""
    assert fs.make_folder(tmp_path / "a" / "b") == [tmp_path / "a", tmp_path / "a" / "b"]
    assert fs.make_folder(tmp_path / "a" / "b") == []


@pytest.mark.parametrize("kind", ["file", "dangling symlink", "loop"])
def test_a_folder_cannot_be_made_where_something_else_is(tmp_path: Path, kind: str) -> None:
    """What was put there is an error, and stays."""
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(place if kind == "loop" else tmp_path / "nowhere")
    with pytest.raises(StorageError, match="cannot make the folder"):
        fs.make_folder(place / "inner")
    assert files_left(tmp_path) == ["place"]


def test_a_folder_that_the_system_refuses_is_an_error_not_an_endless_loop() -> None:
    """/proc answers mkdir with ENOENT, which usually means that the parent was removed."""
    with pytest.raises(StorageError, match="cannot make the folder"):
        fs.make_folder(Path("/proc/luci"))


def test_make_folder_survives_a_clean_up_that_removes_empty_folders(tmp_path: Path) -> None:
    """A folder that vanishes between two steps is made again."""
    path, stop = tmp_path / "a" / "b" / "c", threading.Event()

    def sweep() -> None:
        while not stop.wait(0.0002):
            for folder in (path, *path.parents[:2]):
                fs.remove_empty(folder)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for _ in range(300):
            fs.make_folder(path)
    finally:
        stop.set()
        sweeper.join()


def test_create_follows_no_symlink_and_opens_no_existing_file(tmp_path: Path) -> None:
    """The target of the link keeps its bytes, and so does an existing file."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "link").symlink_to(victim)
    for name in ("link", "victim"):
        with pytest.raises(StorageError, match="File exists"):
            fs.create(tmp_path / name)
    assert victim.read_text() == "mine"


def test_create_gives_the_mode_of_the_umask(tmp_path: Path) -> None:
    """As any program's new files."""
    before = os.umask(0o027)
    try:
        fs.create(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("kind", ["symlink", "folder", "pipe"])
def test_what_others_put_there_is_refused(tmp_path: Path, kind: str) -> None:
    """The error names its kind; it is not opened, and stays."""
    place = tmp_path / "x.part"
    if kind == "symlink":
        place.symlink_to(tmp_path / "victim")
    elif kind == "folder":
        place.mkdir()
    else:
        os.mkfifo(place)
    with pytest.raises(StorageError, match=f"is {'not a plain file' if kind == 'pipe' else 'a ' + kind}"):
        fs.open_own(place)
    assert os.path.lexists(place)


def test_a_file_is_closed_with_the_last_reference_to_it(tmp_path: Path) -> None:
    """And not before: a thread that still writes keeps its descriptor."""
    file = fs.create(tmp_path / "new")
    other, number = file, file.fd
    del file
    os.fstat(number)
    del other
    with pytest.raises(OSError) as caught:
        os.fstat(number)
    assert caught.value.errno == errno.EBADF


def test_writing_to_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    """The system's words, and a hint."""
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        file = fs.create(disk / "new")
        with pytest.raises(StorageError, match="No space left on device") as caught:
            fs.write_at(file, bytes(2 << 20), 0)
        assert "luci clean" in caught.value.hint
        with pytest.raises(OSError) as refused:
            fs.allocate(file, 2 << 20)
        assert refused.value.errno == errno.ENOSPC
        del file


def test_the_page_cache_gets_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For more, some kernels look for memory in one piece, which took fifteen times as long; no byte is lost for it."""
    real, lengths, data = os.pwrite, [], os.urandom(5 << 18)
    file = fs.create(tmp_path / "a")

    def write(fd: int, data: memoryview, offset: int) -> int:
        lengths.append(len(data))
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", write)
    fs.write_at(file, data, 7)
    assert max(lengths) <= 1 << 18
    assert (tmp_path / "a").read_bytes() == bytes(7) + data


def test_release_blocks_frees_those_of_an_open_file_without_a_name(tmp_path: Path) -> None:
    """But never those of a file that still has a name, by a hard link."""
    file, linked = fs.create(tmp_path / "file"), fs.create(tmp_path / "linked")
    for each in (file, linked):
        fs.write_at(each, b"x" * 8192, 0)
    os.link(tmp_path / "linked", tmp_path / "backup")
    for each in (file, linked):
        fs.unlink(each.path)
        fs.release_blocks(each)
    assert os.fstat(file.fd).st_blocks == 0
    assert (tmp_path / "backup").stat().st_size == 8192


def test_a_file_is_replaced_atomically(tmp_path: Path) -> None:
    """Also where a crash left a new file behind."""
    (tmp_path / "x.receipt.new").write_text("torn")
    fs.write_file(tmp_path / "x.receipt", b"one")
    fs.write_file(tmp_path / "x.receipt", b"two")
    assert (tmp_path / "x.receipt").read_bytes() == b"two"
    assert files_left(tmp_path) == ["x.receipt"]


def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """No .new stays behind on a full disk."""
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        fs.write_file(disk / "x.receipt", b"one")
        with pytest.raises(StorageError):
            fs.write_file(disk / "x.receipt", bytes(128 << 10))
        assert (disk / "x.receipt").read_bytes() == b"one"
        assert files_left(disk) == ["x.receipt"]


def test_unlink_and_remove_empty_return_whether_they_removed_it(tmp_path: Path) -> None:
    """Neither fails for what is not there."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert [fs.unlink(tmp_path / "file"), fs.unlink(tmp_path / "file")] == [True, False]
    assert [fs.remove_empty(tmp_path / "folder"), fs.remove_empty(tmp_path / "folder")] == [True, False]


def test_a_sync_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reports a failure once: a second try would succeed and lie."""
    calls = []

    def fail(fd: int) -> None:
        calls.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    file = fs.create(tmp_path / "new")
    with pytest.raises(StorageError, match="cannot sync"):
        fs.sync_data(file)
    assert len(calls) == 1


def refuse_to_unlink_what_has_blocks(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """As a full disk does where deleting a name takes new blocks."""
    real = os.unlink

    def unlink(path: Path) -> None:
        if os.lstat(path).st_blocks:
            raise OSError(code, os.strerror(code), str(path))
        real(path)

    monkeypatch.setattr(os, "unlink", unlink)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_file_that_takes_room_to_delete_is_emptied_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """But never one that has another name, by which it is still wanted; then the lack of space is an error."""
    (tmp_path / "file").write_bytes(b"x" * 8192)
    (tmp_path / "linked").write_bytes(b"x" * 8192)
    os.link(tmp_path / "linked", tmp_path / "backup")
    refuse_to_unlink_what_has_blocks(monkeypatch, code)
    assert fs.unlink(tmp_path / "file")
    with pytest.raises(NoRoom, match="cannot delete"):
        fs.unlink(tmp_path / "linked")
    assert (tmp_path / "backup").stat().st_size == 8192


def test_make_folder_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    """Of the folders that it had made."""
    with small_disk(tmp_path / "disk", 1 << 20, inodes=3) as disk:
        with pytest.raises(NoRoom, match="no inodes are left"):
            fs.make_folder(disk / "a" / "b" / "c")
        assert files_left(disk) == []


def test_a_disk_that_fails_to_describe_an_open_file_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is only asked, too: inode, size and time; and nothing is said when the file is closed."""
    file = fs.create(tmp_path / "file")

    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def fail_to_close(fd: int) -> None:
        close(fd)
        fail(fd)

    close, unraisable = os.close, list[object]()
    with monkeypatch.context() as failing:
        failing.setattr(os, "fstat", fail)
        for ask in ("info", "size"):
            with pytest.raises(StorageError, match=r"cannot look at .*/file: Input/output error"):
                getattr(file, ask)
    with monkeypatch.context() as failing:
        failing.setattr(sys, "unraisablehook", unraisable.append)
        failing.setattr(os, "close", fail_to_close)
        del file
    assert unraisable == []


def test_no_file_to_delete_is_no_failure_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems refuse the call for want of room before they look for the name."""

    def refuse(_path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "unlink", refuse)
    assert not fs.unlink(tmp_path / "nothing")
