"""A model of many files: bounded threads and descriptors, and every promise of a model of few."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import is_held
from luci_dl.disk.locks import MANY, Locks
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import Interrupted, LockedError, StorageError
from luci_dl.events import Event, Started, ignore
from luci_dl.install.context import InstallContext
from luci_dl.install.local_copies import Copies
from luci_dl.install.transfer import Installation
from luci_dl.model import Artifact, Model
from luci_dl.net.network import Network
from luci_dl.plan import Options, Plan
from tests.disk.hands import OPTIONS, artifact_of, digest_of, is_free, pour, staged
from tests.disk.steps import KEEP
from tests.procs import files_left, lock_is_free, wait_until
from tests.servers import FaultyServer

FILES, THREADS, DESCRIPTORS = 400, 64, 256
NAMES = [f"m/{number:03}.bin" for number in range(FILES)]


def data_of(name: str) -> bytes:
    return name.encode() * 100


def many(count: int) -> list[Artifact]:
    return [artifact_of(data_of(name), name) for name in NAMES[:count]]


class Sampler:
    """How many threads and descriptors the process had at most, beyond those from before."""

    def __init__(self) -> None:
        self.threads = self.descriptors = 0
        self._before = self._now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    @staticmethod
    def _now() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    def _sample(self) -> None:
        while not self._over.wait(0.01):
            self.look()

    def look(self) -> None:
        threads, descriptors = self._now()
        self.threads = max(self.threads, threads - self._before[0])
        self.descriptors = max(self.descriptors, descriptors - self._before[1])

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="threads and descriptors are counted in /proc")
@pytest.mark.timeout(180)
def test_a_model_of_400_files_has_few_threads_and_descriptors(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for all is claimed before the first byte; then each file has them while it is fetched."""
    monkeypatch.setattr(os, "fdatasync", lambda _fd: None)  # thousands, on a disk that others use as well
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
    artifacts = tuple(
        Artifact(name, (server.serve(f"/{name}", data_of(name)),), len(data_of(name)), digest_of(data_of(name)))
        for name in NAMES
    )
    plan, options, token = Plan(Model("many", artifacts), tmp_path), Options(min_free=0), CancelToken()
    sampler, claimed = Sampler(), list[int]()

    def emit(event: Event) -> None:
        if isinstance(event, Started) and not claimed:
            claimed.append(sum(path.stat().st_size for path in tmp_path.rglob("*.part")))
            sampler.look()

    transaction = Transaction(tmp_path, artifacts, options=options, token=token, emit=emit)
    with sampler.at_work():
        copies = Copies({}, (), (), caches=False, emit=emit)
        Installation(plan, transaction, InstallContext(options, Network(), copies, token, emit)).run()
    assert claimed == [sum(len(data_of(name)) for name in NAMES)]
    assert all((tmp_path / name).read_bytes() == data_of(name) for name in NAMES)
    assert staged(tmp_path) == [f"{name}.receipt" for name in NAMES]
    assert all(is_free(tmp_path, name) for name in NAMES)
    assert sampler.threads <= THREADS, sampler.threads
    assert sampler.descriptors <= DESCRIPTORS, sampler.descriptors


@pytest.mark.skipif(sys.platform != "linux", reason="threads and descriptors are counted in /proc")
@pytest.mark.usefixtures("small_files")
def test_400_small_files_at_once_take_few_threads_and_descriptors(server: FaultyServer, tmp_path: Path) -> None:
    """Though sixteen are under way at the same time; nothing is on disk before it is verified."""
    artifacts = tuple(
        Artifact(name, (server.serve(f"/{name}", data_of(name)),), len(data_of(name)), digest_of(data_of(name)))
        for name in NAMES
    )
    plan, options, token = Plan(Model("many", artifacts), tmp_path), Options(min_free=0), CancelToken()
    transaction, sampler = Transaction(tmp_path, artifacts, options=options, token=token), Sampler()
    copies = Copies({}, (), (), caches=False, emit=ignore)
    with sampler.at_work():
        Installation(plan, transaction, InstallContext(options, Network(), copies, token, ignore)).run()
    assert all((tmp_path / name).read_bytes() == data_of(name) for name in NAMES)
    assert staged(tmp_path) == [f"{name}.receipt" for name in NAMES]
    assert all(is_free(tmp_path, name) for name in NAMES)
    assert sampler.threads <= THREADS, sampler.threads
    assert sampler.descriptors <= DESCRIPTORS, sampler.descriptors


def test_what_is_verified_holds_no_thread_and_no_journal(tmp_path: Path) -> None:
    """A part gives back what only filling it needs."""
    before, sampler = set(threading.enumerate()), Sampler()
    with Transaction(tmp_path, many(2), options=OPTIONS) as transaction:
        for artifact in many(2):
            part = transaction.open(artifact)
            pour(part, data_of(artifact.name))
            part.verify(CancelToken())
            wait_until(lambda: {thread.name for thread in set(threading.enumerate()) - before} == {"luci-lock"})
        sampler.look()
        assert sampler.descriptors <= 2 * len(("lock", "part")) + len(("token", "token"))
        transaction.commit()
    assert [(tmp_path / name).read_bytes() for name in NAMES[:2]] == [data_of(name) for name in NAMES[:2]]


CONTENDER = """
import sys
from pathlib import Path
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import Lock
print([Lock(staging_for(Path(sys.argv[1]), name).lock).try_acquire() for name in sys.argv[2:]])
"""


def test_each_of_many_locks_keeps_other_processes_out(tmp_path: Path) -> None:
    """Although this process has very few descriptors for them; all are free after the release."""
    locks = Locks([(staging_for(tmp_path, artifact.name), artifact) for artifact in many(100)], "many")
    sampler = Sampler()
    locks.acquire(None, CancelToken(), lambda _event: None)
    sampler.look()
    assert sampler.descriptors <= 2 * MANY
    assert locks.keep_others_out()
    assert not locks.lost()
    tries = subprocess.run(
        [sys.executable, "-c", CONTENDER, str(tmp_path), *NAMES[:100]], capture_output=True, text=True
    )
    assert tries.stdout == f"{[False] * 100}\n", tries.stderr
    locks.report(NAMES[70], 5, 10, 1.0)
    locks.release("installed")
    assert all(lock_is_free(path) for path in tmp_path.rglob("*.lock"))
    assert locks.lost()


def test_many_locks_are_all_or_none(tmp_path: Path) -> None:
    """One of them is held by another: the others are free again at once."""
    one, all_of_them = many(100)[60], many(100)
    holder = Locks([(staging_for(tmp_path, one.name), one)], "one")
    holder.acquire(None, CancelToken(), lambda _event: None)
    with pytest.raises(LockedError, match=r"m/060\.bin is being installed by pid"):
        Locks([(staging_for(tmp_path, each.name), each) for each in all_of_them], "many").acquire(
            0.0, CancelToken(), lambda _event: None
        )
    assert not any(is_held(path) for path in tmp_path.rglob("*.lock") if path.name != "060.bin.lock")
    holder.release("installed")


def test_locks_whose_texts_cannot_be_written_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor is left to open them, for example."""
    locks = Locks([(staging_for(tmp_path, artifact.name), artifact) for artifact in many(50)], "many")
    locks.acquire(None, CancelToken(), lambda _event: None)
    monkeypatch.setattr(fs, "open_own", lambda _path: (_ for _ in ()).throw(StorageError("no descriptor")))
    locks.release("installed")
    monkeypatch.undo()
    assert all(lock_is_free(path) for path in tmp_path.rglob("*.lock"))


def test_where_no_socket_takes_them_the_descriptors_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The locks are held all the same."""

    def refuse(*_: object) -> int:
        raise OSError("too many references")

    monkeypatch.setattr(socket, "send_fds", refuse)
    locks = Locks([(staging_for(tmp_path, artifact.name), artifact) for artifact in many(50)], "many")
    locks.acquire(None, CancelToken(), lambda _event: None)
    assert locks.keep_others_out()
    locks.release("installed")
    assert all(lock_is_free(path) for path in tmp_path.rglob("*.lock"))


def fetch(folder: Path, options: Options, wanted: list[Artifact], *halves: Artifact, stop: bool = True) -> Transaction:
    """Fetch the wanted files, but of `halves` the first 450 bytes; then be interrupted, or commit."""
    transaction = Transaction(folder, wanted, options=options)
    with transaction:
        parts = [transaction.open(artifact) for artifact in wanted]
        for part in parts:
            half = part.artifact in halves
            pour(part, data_of(part.artifact.name), 450 if half else None)
            if not half:
                part.verify(CancelToken())
        if stop:
            raise Interrupted
        transaction.commit()
    return transaction


@pytest.mark.parametrize("keep", [False, True])
def test_an_interrupt_in_the_middle_of_many_files_leaves_what_it_should(tmp_path: Path, keep: bool) -> None:
    """Nothing; or all of them, verified or half fetched."""
    wanted = many(MANY + 8)
    with pytest.raises(Interrupted):
        fetch(tmp_path, KEEP if keep else OPTIONS, wanted, wanted[-1])
    left = [name for name in files_left(tmp_path) if name.endswith((".part", ".journal"))]
    assert len(left) == (2 * len(wanted) if keep else 0)
    assert all(is_free(tmp_path, artifact.name) for artifact in wanted)
    with Transaction(tmp_path, wanted, options=OPTIONS) as transaction:
        parts = [transaction.open(artifact) for artifact in wanted]
        assert [part.received for part in parts[-2:]] == ([900, 450] if keep else [0, 0])
        for part in parts:
            pour(part, data_of(part.artifact.name))
        transaction.commit()
    assert all((tmp_path / artifact.name).read_bytes() == data_of(artifact.name) for artifact in wanted)


def replace(folder: Path, name: str, data: bytes) -> None:
    """Another program puts other bytes in the place of the part."""
    part = staging_for(folder, name).part
    part.with_name("other").write_bytes(data)
    part.with_name("other").rename(part)


def test_a_kept_part_that_another_program_replaced_while_it_waited_is_refused(tmp_path: Path) -> None:
    """It is not open, but its inode is known."""
    wanted = many(MANY + 2)
    with pytest.raises(Interrupted):
        fetch(tmp_path, KEEP, wanted[-1:], wanted[-1])

    def act() -> None:
        with Transaction(tmp_path, wanted, options=OPTIONS) as transaction:
            parts = [transaction.open(artifact) for artifact in wanted]
            assert parts[-1].received == 450
            replace(tmp_path, wanted[-1].name, bytes(900))
            pour(parts[-1], data_of(wanted[-1].name))

    with pytest.raises(StorageError, match="another program replaced or deleted"):
        act()


@pytest.mark.parametrize("right", [True, False])
def test_a_verified_part_that_is_another_file_now_is_read_again(tmp_path: Path, right: bool) -> None:
    """The same bytes will do; others end the install."""
    wanted = many(MANY + 2)
    name = wanted[-1].name

    def act() -> None:
        with Transaction(tmp_path, wanted, options=OPTIONS) as transaction:
            for artifact in wanted:
                part = transaction.open(artifact)
                pour(part, data_of(artifact.name))
                part.verify(CancelToken())
            replace(tmp_path, name, data_of(name) if right else bytes(900))
            transaction.commit()

    if right:
        act()
        assert (tmp_path / name).read_bytes() == data_of(name)
    else:
        with pytest.raises(StorageError, match="another program touched the staging files"):
            act()
        assert staged(tmp_path) == []
