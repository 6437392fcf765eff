"""Locks without room for their files: the folder is locked in their place, and nobody holds both at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import threading
import time
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.folder_lock import FolderLock
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import Lock, is_held
from luci_dl.disk.locks import MANY, Locks
from luci_dl.disk.storage_errors import storage_error
from luci_dl.errors import LockedError, NoRoom
from tests.disk.hands import artifact_of
from tests.procs import files_left, lock_is_free


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / ".luci").mkdir()
    return tmp_path / ".luci" / "m.gguf.lock"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> threading.local:
    """In each thread that sets `on`, no lock file can be made; there is one that is held, or free, all the same."""
    real, here = Lock._try_file, threading.local()

    def try_file(lock: Lock, made: list[Path]) -> bool:
        if getattr(here, "on", False) and not os.path.lexists(lock.path):
            raise storage_error("lock", lock.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return real(lock, made)

    monkeypatch.setattr(Lock, "_try_file", try_file)
    return here


def to_delete(path: Path) -> Lock:
    return Lock(path, FolderLock(path.parent))


def test_a_folder_has_one_holder(path: Path) -> None:
    """A look at it does not count."""
    one, two = FolderLock(path.parent), FolderLock(path.parent)
    assert one.try_acquire()
    assert one.try_acquire()
    assert not two.try_acquire()
    assert (one.is_free(), two.is_free(), is_held(path.parent)) == (True, False, True)
    one.release()
    assert two.is_free()
    assert two.try_acquire()
    two.release()
    two.release()
    assert not is_held(path.parent)


def test_only_who_deletes_needs_no_file(path: Path, full: threading.local) -> None:
    """Everyone else learns that there is no room."""
    full.on = True
    with pytest.raises(NoRoom):
        Lock(path).try_acquire()
    lock = to_delete(path)
    assert lock.try_acquire()
    assert lock.keeps_others_out()
    assert files_left(path.parent) == []
    lock.unlink_and_release()
    assert not is_held(path.parent)


def test_while_a_folder_is_held_nobody_gets_a_lock_in_it(path: Path, full: threading.local) -> None:
    """Though there may be room again, by what was deleted; and nothing stays locked."""
    full.on = True
    deleting, installing = to_delete(path), Lock(path)
    assert deleting.try_acquire()
    full.on = False
    assert not installing.try_acquire()
    assert lock_is_free(path)
    deleting.release()
    assert installing.try_acquire()
    full.on = True
    assert not to_delete(path).try_acquire()
    installing.release()


def test_a_folder_that_cannot_be_locked_leaves_the_lack_of_room(path: Path, full: threading.local) -> None:
    """As on NFS; or where there is no folder yet."""
    full.on = True
    path.parent.rmdir()
    with pytest.raises(NoRoom, match="No space left"):
        to_delete(path).try_acquire()


def test_two_never_hold_a_target_at_a_time(path: Path, full: threading.local) -> None:
    """Whatever the order in which installs and deletions on a full disk begin and end."""
    holders, overlaps, errors = [0], list[bool](), list[BaseException]()

    def work(number: int) -> None:
        chance, got = random.Random(number), 0
        try:
            while got < 40:
                full.on = number % 2
                lock = to_delete(path)
                if lock.try_acquire():
                    holders[0] += 1
                    time.sleep(chance.uniform(0, 0.001))
                    overlaps.append(holders[0] != 1)
                    holders[0] -= 1
                    got += 1
                    lock.unlink_and_release()
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert (len(overlaps), any(overlaps)) == (160, False)


@pytest.mark.parametrize("count", [2, MANY + 1])
def test_the_locks_of_a_model_share_the_folders(tmp_path: Path, full: threading.local, count: int) -> None:
    """Some have files and some have none; while they are held, another process gets none of them."""
    names = [f"m{number}.gguf" for number in range(count)]
    files = [(staging_for(tmp_path, name), artifact_of(b"x", name)) for name in names]
    fs.make_folder(files[0][0].lock.parent)
    files[0][0].lock.touch()
    full.on = True
    locks = Locks(files, "m", "remove")
    locks.acquire(0.0, CancelToken(), lambda _: None)
    assert locks.keep_others_out()
    full.on = False
    for staging, artifact in files[:2]:
        with pytest.raises(LockedError):
            Locks([(staging, artifact)], "m").acquire(0.0, CancelToken(), lambda _: None)
    locks.release("rolled back")
    again = Locks(files, "m")
    again.acquire(0.0, CancelToken(), lambda _: None)
    again.release("rolled back")


def test_the_lock_on_a_folder_that_was_replaced_is_not_the_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever removed it, and made it anew, did so between the opening and the locking."""
    real, replaced = fcntl.flock, list[Path]()

    def flock(fd: int, operation: int) -> None:
        if not replaced:
            replaced.append(path.parent.rename(path.parent.with_name("old")))
            path.parent.mkdir()
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    one, two = FolderLock(path.parent), FolderLock(path.parent)
    assert one.try_acquire()
    assert not two.try_acquire()
    one.release()
    assert two.try_acquire()
    two.release()
