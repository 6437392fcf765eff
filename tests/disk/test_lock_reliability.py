"""File systems that grant a lock to everyone, or may do so: both processes succeed all the same."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import filesystems, fs, lock_reliability
from luci_dl.disk.filesystems import FileSystem
from luci_dl.disk.layout import staging_for
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import NetworkError, StorageError
from luci_dl.events import Cleaned, Deleted, Event, LeftAlone, Warned
from luci_dl.library.clean import clean
from luci_dl.plan import Options
from tests.cli.conftest import models, shop
from tests.cli.shop import DATA, Shop, assert_nothing_left
from tests.disk.hands import OPTIONS, artifact_of, assert_ends, gguf, install, pour, staged
from tests.interrupting import patched
from tests.procs import Spawned, files_left
from tests.servers.faults import stall

__all__ = ["models", "shop"]

LIES = "import fcntl\nfcntl.flock = lambda fd, how: None"
"""Every lock is granted to everyone."""
REMOTE = """
from luci_dl.disk import filesystems, lock_reliability
lock_reliability.file_system = lambda path: filesystems.FileSystem('nfs4', '/mnt')
"""
"""The locks work, but nobody can know that."""
NAME = "model.gguf"


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder is on a network file system."""
    monkeypatch.setattr(lock_reliability, "file_system", lambda _path: FileSystem("nfs4", "/mnt"))


def install_twice(shop: Shop) -> list[str]:
    """Two processes install m at once, and both get the lock. Returns: what each printed on stdout."""
    lying = patched(LIES)
    with Spawned("install", "m", command=lying) as one, Spawned("install", "m", command=lying) as two:
        one.wait_for("grants a lock to everyone")
        two.wait_for("grants a lock to everyone")
        shop.server.release()
        assert (one.wait(), two.wait()) == (0, 0), one.err + two.err
    return [one.out, two.out]


def test_two_processes_that_both_get_the_lock_both_end_well(shop: Shop, models: Path) -> None:
    """Each fetches for itself; one right file is there, and nothing else."""
    shop.sell("m", faults=[stall(100_000), stall(100_000)])
    assert install_twice(shop) == [f"{models}/m.gguf\n"] * 2
    assert (models / "m.gguf").read_bytes() == DATA
    assert_nothing_left(models, "m.gguf")


def test_two_processes_with_a_set_both_end_well(shop: Shop, models: Path) -> None:
    """Though neither can write a record that the other would complete."""
    names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    shop.sell("m", faults=[stall(100_000), stall(100_000)], files=names)
    install_twice(shop)
    assert [(models / name).read_bytes() for name in names] == [DATA, DATA]
    assert_nothing_left(models, *names)


def test_luci_says_so_once_in_a_run(shop: Shop, models: Path) -> None:
    """Not for each model, and not at all if nothing is fetched."""
    shop.sell("m")
    shop.sell("n", gguf(5000))
    remote = patched(REMOTE)
    with Spawned("install", "m", "n", command=remote) as run:
        assert run.wait() == 0, run.err
    assert run.err.count(f"{models} is on a network file system (nfs4)") == 1
    with Spawned("install", "m", "n", command=remote) as again:
        assert again.wait() == 0, again.err
    assert "network file system" not in again.err


def test_where_locks_can_be_trusted_nothing_is_said(tmp_path: Path) -> None:
    """And the part has its usual name."""
    heard: list[Event] = []
    artifact = artifact_of(gguf(1000))
    with Transaction(tmp_path, [artifact], options=OPTIONS, emit=heard.append) as transaction:
        assert transaction.open(artifact).staging.part == staging_for(tmp_path, NAME).part
    assert not any(isinstance(event, Warned) for event in heard)


@pytest.mark.usefixtures("remote")
def test_a_part_of_its_own_is_not_resumed(tmp_path: Path) -> None:
    """So it is not kept either, whatever the ending."""
    data = gguf(50_000)
    artifact = artifact_of(data)
    transaction = Transaction(tmp_path, [artifact], options=Options(min_free=0, keep_partial=True))

    def fail() -> None:
        with transaction:
            pour(transaction.open(artifact), data, 20_000)
            raise NetworkError("gone")

    assert_ends(tmp_path, NetworkError, fail, [])
    assert transaction.endings == [Deleted(NAME)]


@pytest.mark.usefixtures("remote")
def test_a_part_of_its_own_is_read_back_before_the_rename(tmp_path: Path) -> None:
    """What the disk gives back is not what was written: nothing is installed."""
    data = gguf(50_000)
    artifact = artifact_of(data)

    def flip_a_byte() -> None:
        with Transaction(tmp_path, [artifact], options=OPTIONS) as transaction:
            part = transaction.open(artifact)
            pour(part, data)
            part.verify(CancelToken())
            with part.staging.part.open("r+b") as file:
                file.seek(40_000)
                file.write(b"?")
            transaction.commit()

    error = assert_ends(tmp_path, StorageError, flip_a_byte, [])
    assert "does not read back as it was written" in error.message
    assert not (tmp_path / NAME).exists()


@pytest.mark.usefixtures("remote")
def test_a_file_that_another_put_there_meanwhile_must_be_the_same(tmp_path: Path) -> None:
    """Otherwise it stays, and an error says so."""
    data = gguf(50_000)
    artifact = artifact_of(data)

    def meanwhile(other: bytes) -> None:
        with Transaction(tmp_path, [artifact], options=OPTIONS) as transaction:
            transaction.look(artifact)
            pour(transaction.open(artifact), data)
            (tmp_path / NAME).write_bytes(other)
            transaction.commit()

    error = assert_ends(tmp_path, StorageError, lambda: meanwhile(b"theirs"), [])
    assert "another program put a file" in error.message
    assert (tmp_path / NAME).read_bytes() == b"theirs"
    (tmp_path / NAME).unlink()
    meanwhile(data)
    assert (tmp_path / NAME).read_bytes() == data


def own_files(folder: Path, pid: int, machine: str | None = None) -> Path:
    """Leave the files of a process with a part of its own. Returns: that part."""
    mark = lock_reliability.private_mark().replace(f"-{os.getpid()}-", f"-{pid}-")
    if machine:
        mark = mark.replace(lock_reliability.machine(), machine)
    staging = staging_for(folder, NAME).private(mark)
    staging.part.parent.mkdir(parents=True, exist_ok=True)
    for path in (staging.part, staging.journal, staging.new_receipt):
        path.write_bytes(b"left")
    return staging.part


def ended_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def cleaned(folder: Path, dry_run: bool = False) -> list[Event]:
    heard: list[Event] = []
    clean(folder, None, dry_run, CancelToken(), heard.append)
    return heard


def test_clean_finds_the_own_files_of_a_process_that_ended(tmp_path: Path) -> None:
    """Part, journal, and the receipt that was being written."""
    own_files(tmp_path, ended_pid())
    assert sum(isinstance(event, Cleaned) for event in cleaned(tmp_path, dry_run=True)) == 3
    assert len(staged(tmp_path)) == 3
    cleaned(tmp_path)
    assert files_left(tmp_path) == []


def test_clean_leaves_the_own_files_of_a_process_that_lives(tmp_path: Path) -> None:
    """Whatever the lock says."""
    own_files(tmp_path, os.getpid())
    heard = cleaned(tmp_path)
    assert [event.reason for event in heard if isinstance(event, LeftAlone)] == [f"pid {os.getpid()} may be using it"]
    assert len(staged(tmp_path)) == 3


@pytest.mark.parametrize(("age", "left"), [(3600, 3), (lock_reliability.FORGOTTEN_S + 60, 0)])
def test_clean_leaves_those_of_another_machine_for_a_day(tmp_path: Path, age: int, left: int) -> None:
    """Its processes cannot be examined; a day without a write is long enough."""
    part = own_files(tmp_path, ended_pid(), machine="0123abcd")
    then = time.time() - age
    for path in part.parent.iterdir():
        os.utime(path, (then, then))
    cleaned(tmp_path)
    assert len(staged(tmp_path)) == left


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(("pid", "host", "left"), [("own", "here", 2), ("ended", "here", 0), ("ended", "elsewhere", 2)])
def test_clean_leaves_what_a_holder_of_a_doubtful_lock_may_be_filling(
    tmp_path: Path, pid: str, host: str, left: int
) -> None:
    """A server fills it on its own disk, say, and locks there; we see it by the network."""
    holder = Holding(tmp_path, os.getpid() if pid == "own" else ended_pid(), host)
    holder.leave()
    cleaned(tmp_path)
    assert len(staged(tmp_path)) == left


class Holding:
    """Staging files as one leaves them that holds the lock, but whose lock is granted to us."""

    def __init__(self, folder: Path, pid: int, host: str) -> None:
        self._staging = staging_for(folder, NAME)
        self._pid = pid
        self._host = socket.gethostname() if host == "here" else host

    def leave(self) -> None:
        from luci_dl.disk.lock_info import LockInfo

        self._staging.part.parent.mkdir()
        self._staging.part.write_bytes(b"GGUF")
        self._staging.journal.write_bytes(b"{}")
        text = LockInfo("n", NAME, self._pid, self._host, "ann", "now", "luci install m", "m", "key")
        self._staging.lock.write_bytes(text.to_bytes())


@pytest.mark.parametrize(
    ("kind", "doubtful"),
    [
        *[(kind, True) for kind in ("nfs4", "lustre", "gpfs", "cifs", "fuse.sshfs", "fuse.unheard-of", "9p", "fuse")],
        *[(kind, False) for kind in ("ext4", "xfs", "btrfs", "fuseblk", "fuse.mergerfs", "vfat", "exfat", "tmpfs")],
    ],
)
def test_the_kind_of_the_file_system_decides(kind: str, doubtful: bool) -> None:
    """An unknown FUSE file system may be anything."""
    assert filesystems.FileSystem(kind, "/").has_unreliable_locks is doubtful


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize("name", ["a" * 250 + ".gguf", "ü" * 120 + ".gguf", "sub/" + "b" * 200 + ".gguf"])
def test_long_names_have_room_for_the_mark(tmp_path: Path, name: str) -> None:
    """They are shortened, and nothing is left."""
    install(tmp_path, (gguf(1000), name))
    assert (tmp_path / name).read_bytes() == gguf(1000)
    assert staged(tmp_path) == [f for f in staged(tmp_path) if f.endswith(".receipt")]


def test_the_mark_is_distinguished_from_names_of_models() -> None:
    """It says which process it belongs to, and which target."""
    mark = lock_reliability.private_mark()
    assert lock_reliability.owner_of(f"m.gguf{mark}") == lock_reliability.Owner(lock_reliability.machine(), os.getpid())
    assert lock_reliability.without_mark(f"m.gguf{mark}") == "m.gguf"
    names: Sequence[str] = ("m.gguf", "a" * 200 + "~0123456789abcdef", "m~1-2-3")
    assert [lock_reliability.owner_of(name) for name in names] == [None, None, None]
    assert [lock_reliability.without_mark(name) for name in names] == [*names]


def test_what_is_read_back_comes_from_the_disk(tmp_path: Path) -> None:
    """As far as a test can tell: the call takes a file that is there."""
    path = tmp_path / "m"
    path.write_bytes(b"GGUF")
    fs.forget_cached(path)
    with pytest.raises(StorageError):
        fs.forget_cached(tmp_path / "none")
