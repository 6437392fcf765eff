"""One lock: who holds it, what its file says, and what happens when others change that file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from luci_dl.disk import fs
from luci_dl.disk.lock import Lock, file_lock, is_held, read_lock_info
from luci_dl.disk.lock_info import LockInfo
from luci_dl.errors import NoRoom, StorageError
from tests.disk.hands import held
from tests.disk.strange import JSON, changed
from tests.procs import ROOT, lock_is_free

HOLDER = LockInfo("nonce", "m.gguf", 1, "host", "me", "2026-01-01T00:00:00+00:00", "luci install m", "m", "key")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".luci" / "m.gguf.lock"


def test_a_lock_has_one_holder_even_in_one_process(path: Path) -> None:
    """Two locks on one file exclude each other; the folder is made first."""
    one, two = Lock(path), Lock(path)
    assert one.try_acquire()
    assert not two.try_acquire()
    one.release()
    assert two.try_acquire()
    two.release()
    assert lock_is_free(path)


def test_a_lock_is_released_by_another_thread(path: Path) -> None:
    """The thread that cleans up is not always the one that began."""
    lock = Lock(path)
    assert lock.try_acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert not lock.held
    assert lock_is_free(path)


def test_a_release_is_harmless_twice(path: Path) -> None:
    """And without an acquire."""
    lock = Lock(path)
    lock.release()
    assert lock.try_acquire()
    lock.release()
    lock.release()
    assert lock_is_free(path)


def test_a_killed_holder_frees_the_lock(path: Path) -> None:
    """The kernel does it; the text stays and proves nothing."""
    code = (
        "import os, sys; from pathlib import Path; from luci_dl.disk.lock import Lock\n"
        "lock = Lock(Path(sys.argv[1])); assert lock.try_acquire(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", code, str(path)], env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert ended.returncode == -9
    assert Lock(path).try_acquire()


def test_the_file_says_who_holds_the_lock_also_afterwards(path: Path) -> None:
    """A shorter text replaces a longer one completely; after the release nothing is written."""
    lock = Lock(path)
    lock.write(HOLDER)
    assert read_lock_info(path) is None
    assert lock.try_acquire()
    lock.write(replace(HOLDER, command="luci install " + "x" * 500))
    lock.write(replace(HOLDER, done=5, total=10))
    assert path.read_bytes() == replace(HOLDER, done=5, total=10).to_bytes()
    lock.release()
    lock.write(replace(HOLDER, nonce="late"))
    assert read_lock_info(path) == replace(HOLDER, done=5, total=10)


def test_a_lock_whose_text_cannot_be_written_is_ours_by_its_inode(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of an earlier holder is no sign of another program; once it can be written, it counts again."""
    path.parent.mkdir()
    path.write_bytes(replace(HOLDER, nonce="earlier").to_bytes())
    lock = Lock(path)
    assert lock.try_acquire()
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda _fd, _data, _offset: 0)
        lock.write(HOLDER)
    assert lock.is_ours("nonce")
    path.rename(path.with_name("moved"))
    assert not lock.is_ours("nonce")
    path.with_name("moved").rename(path)
    lock.write(HOLDER)
    assert lock.is_ours("nonce")
    assert not lock.is_ours("another")
    lock.release()
    assert lock_is_free(path)


def test_a_folder_that_takes_no_lock_file_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system says for ever that the folder is missing, though it is there: nothing waits for it."""
    path.parent.mkdir()

    def refuse(_lock: FileLock, **_how: object) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(StorageError, match="cannot lock") as caught:
        Lock(path).try_acquire()
    assert caught.value.reason == os.strerror(errno.ENOENT)
    assert list(path.parent.iterdir()) == []


def test_a_lock_file_that_vanishes_whenever_it_is_made_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for it forever, and no descriptor stays open."""
    monkeypatch.setattr(Lock, "_is_at_path", lambda _lock: False)
    with pytest.raises(StorageError, match="it vanishes whenever it is made"):
        Lock(path).try_acquire()
    assert lock_is_free(path)


def test_a_lock_file_of_somebody_else_in_a_sticky_folder_says_whom_to_ask(path: Path) -> None:
    """filelock does not trust it: its owner could put another one in its place while it is held."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    path.parent.mkdir()
    path.parent.chmod(0o1777)
    path.touch()
    os.chown(path, 40_001, -1)
    with pytest.raises(StorageError, match="belongs to uid 40001") as caught:
        Lock(path).try_acquire()
    assert "luci clean" in caught.value.hint
    assert lock_is_free(path)


@pytest.mark.parametrize("outcome", ["", "rolled back"])
def test_a_system_that_lets_nobody_lock_is_not_taken_for_a_holder(
    path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """It is not waited for, unless the text names a holder, of whom some file systems say the same."""

    def refuse(_file: object, _how: int) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path.parent.mkdir()
    path.write_bytes(replace(HOLDER, outcome=outcome).to_bytes())
    with monkeypatch.context() as denied:
        denied.setattr(fcntl, "flock", refuse)
        if outcome:
            with pytest.raises(StorageError, match=f"cannot lock {path}: Permission denied"):
                Lock(path).try_acquire()
        else:
            assert not Lock(path).try_acquire()
    assert lock_is_free(path)


def test_a_look_at_a_lock_survives_a_failing_close(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may report only then that something failed."""
    lock = Lock(path)
    assert lock.try_acquire()
    close = os.close

    def fail(fd: int) -> None:
        close(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        failing.setattr(os, "close", fail)
        assert is_held(path)
    lock.release()
    assert lock_is_free(path)


def test_a_lock_is_ours_by_its_nonce_and_its_inode(path: Path) -> None:
    """Not by another's text, not under another inode, not without a text, not once it is released."""
    lock = Lock(path)
    assert lock.try_acquire()
    lock.write(HOLDER)
    assert lock.is_ours("nonce")
    assert not lock.is_ours("another")
    text = path.read_bytes()
    path.rename(path.with_name("moved"))
    assert not lock.is_ours("nonce")
    path.write_bytes(text)
    assert not lock.is_ours("nonce")
    path.with_name("moved").rename(path)
    assert lock.is_ours("nonce")
    path.write_bytes(b"")
    assert not lock.is_ours("nonce")
    lock.write(HOLDER)
    lock.release()
    assert not lock.is_ours("nonce")


def test_a_lock_whose_file_is_unlinked_by_its_holder_has_one_holder(path: Path) -> None:
    """A process that has opened the old file locks the new one: no two hold it at a time."""
    holders, overlaps, ended = [0], [], threading.Barrier(4)

    def work() -> None:
        lock, got = Lock(path), 0
        while got < 60:
            if lock.try_acquire():
                holders[0] += 1
                overlaps.append(holders[0] != 1)
                holders[0] -= 1
                got += 1
                lock.unlink_and_release()
        ended.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(overlaps) == 240
    assert not any(overlaps)


def test_a_folder_that_is_cleaned_away_while_a_lock_is_taken_is_made_again(path: Path) -> None:
    """No install fails because a clean-up removed the empty staging folder."""
    stop = threading.Event()

    def sweep() -> None:
        while not stop.wait(0.0005):
            fs.remove_empty(path.parent)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for _ in range(60):
            lock = Lock(path)
            assert lock.try_acquire()
            lock.unlink_and_release()
    finally:
        stop.set()
        sweeper.join()


def open_files(path: Path) -> list[str]:
    """The descriptors of this process that lead to the file."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found += [number] if os.path.samestat(os.stat(f"/proc/self/fd/{number}"), path.stat()) else []
        except OSError:
            continue
    return found


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_release_never_fails(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """When the system refuses to unlock, the file is closed, which frees the lock, and nothing else is closed later."""
    real = fcntl.flock

    def flock(fd: int, how: int) -> None:
        if how == fcntl.LOCK_UN:
            raise OSError(code, os.strerror(code))
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(path)
    assert lock.try_acquire()
    lock.release()
    assert not lock.held
    assert not is_held(path)
    assert lock_is_free(path)
    assert open_files(path) == []
    assert lock.try_acquire()
    assert is_held(path)
    lock.unlink_and_release()
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]  # the number that was closed is one of these
    del lock
    for fd in others:
        os.close(fd)
    with file_lock(path):
        assert is_held(path)
    assert not is_held(path)


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (errno.ENOSPC, NoRoom, "luci clean"),
        (errno.EMFILE, StorageError, "ulimit -n"),
        (errno.EACCES, StorageError, "owns the folder"),
    ],
)
def test_a_lock_file_that_cannot_be_made_is_an_error_with_its_cause(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[StorageError], hint: str
) -> None:
    """No room is no room, so that another folder is tried; no library's exception comes out."""
    real = os.open

    def refuse(name: str, flags: int, *more: int, **named: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code), name)
        return real(name, flags, *more, **named)

    path.parent.mkdir()
    monkeypatch.setattr(os, "open", refuse)
    for act in (Lock(path).try_acquire, file_lock(path).__enter__):
        with pytest.raises(StorageError, match=f"cannot lock {path}: {os.strerror(code)}") as caught:
            act()
        assert type(caught.value) is kind
        assert hint in caught.value.hint


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_an_error_that_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """And no descriptor is left open."""

    def refuse(_fd: int, _how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match=f"cannot lock {path}: {os.strerror(code)}") as caught:
        Lock(path).try_acquire()
    assert "does not support" in caught.value.hint
    assert open_files(path) == []


def test_a_lock_is_recognised_without_a_new_descriptor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has no more of them can still complete its install."""
    lock = Lock(path)
    assert lock.try_acquire()
    lock.write(HOLDER)

    def refuse(*_args: object, **_named: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert lock.is_ours("nonce")
    lock.release()


@pytest.mark.parametrize("kind", ["symlink", "folder", "pipe"])
def test_what_was_put_in_the_place_of_a_lock_is_refused(path: Path, kind: str) -> None:
    """It is neither followed nor waited for."""
    path.parent.mkdir()
    if kind == "symlink":
        path.symlink_to(path.with_name("victim"))
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(StorageError, match="where luci keeps a file of its own"):
        Lock(path).try_acquire()
    assert not path.with_name("victim").exists()


def test_a_lock_that_is_held_by_another_process_says_so_at_once(tmp_path: Path, path: Path) -> None:
    """An empty text is no reason to fail."""
    with held(tmp_path, "m.gguf"):
        assert not Lock(path).try_acquire()
        assert read_lock_info(path) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe\n",
        b"null\n",
        b"[]\n",
        b'{"v": 2}\n',
        b'{"v": [1]}\n',
        b"[" * 50_000,
        HOLDER.to_bytes()[:-20],
        HOLDER.to_bytes().replace(b'"pid": 1', b'"pid": "1"'),
        HOLDER.to_bytes().replace(b'"pid": 1', b'"pid": -1'),
        HOLDER.to_bytes().replace(b'"done": 0', b'"done": true'),
        HOLDER.to_bytes().replace(b'"rate": 0.0', b'"rate": NaN'),
        HOLDER.to_bytes().replace(b'"rate": 0.0', b'"rate": 1' + b"0" * 400),
        HOLDER.to_bytes().replace(b'"rate": 0.0', b'"rate": -1'),
        HOLDER.to_bytes().replace(b'"rate": 0.0', b'"rate": true'),
        HOLDER.to_bytes().replace(b'"host": "host"', b'"host": null'),
        HOLDER.to_bytes().replace(b'"host": "host"', b'"host": ["host"]'),
        HOLDER.to_bytes().replace(b'"v": 1', b'"v": true'),
        HOLDER.to_bytes().replace(b'"pid": 1', b'"pid": ' + b"9" * 5000),
        HOLDER.to_bytes().replace(b'"pid": 1', b'"pid": ' + b"[" * 900 + b"]" * 900),
    ],
)
def test_a_torn_or_hostile_text_is_ignored(path: Path, text: bytes) -> None:
    """Other users of the folder may have written anything."""
    path.parent.mkdir()
    path.write_bytes(text)
    assert read_lock_info(path) is None


def test_a_text_with_the_end_of_an_older_one_is_read(path: Path) -> None:
    """The new line is written before the file is cut."""
    path.parent.mkdir()
    path.write_bytes(HOLDER.to_bytes() + b'{"nonce": "old')
    assert read_lock_info(path) == HOLDER
    assert json.loads(HOLDER.to_bytes()) == asdict(HOLDER)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        JSON.map(json.dumps).map(str.encode), changed(asdict(HOLDER)).map(json.dumps).map(str.encode), st.binary()
    )
)
def test_whatever_a_lock_file_says_it_is_a_holder_or_nothing(text: bytes) -> None:
    """Of the types that the class promises, and printable everywhere."""
    info = LockInfo.from_bytes(text)
    if info is None:
        return
    for name, value in asdict(info).items():
        known = getattr(HOLDER, name)
        assert type(value) is type(known) or (name, value) == ("rate", int(info.rate)) or name == "total"
        assert isinstance(info.total, int | None)
        assert not isinstance(value, str) or value.encode() is not None
    assert LockInfo.from_bytes(info.to_bytes()) == info


def test_a_name_that_utf8_cannot_encode_does_not_cost_the_lock(path: Path) -> None:
    """A user's name may be one, in an environment with another encoding: the text is ours all the same."""
    lock = Lock(path)
    assert lock.try_acquire()
    lock.write(replace(HOLDER, user="m\udce9"))
    assert lock.is_ours("nonce")
    assert read_lock_info(path) == replace(HOLDER, user="m?")
    lock.release()
