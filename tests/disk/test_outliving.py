"""Nothing outlives the lock: a system call that an interrupted install left behind damages no file of a later one."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import luci_dl
from luci_dl.cancel import CancelToken
from luci_dl.disk import fs
from luci_dl.disk.part import Part
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import Interrupted, NetworkError
from luci_dl.events import Deleted, Event, Kept, NotDeleted, Warned
from luci_dl.plan import Options, Revoked
from tests.disk.hands import (
    KIB,
    NAME,
    artifact_of,
    claimed,
    digest_of,
    gguf,
    is_free,
    kill_after,
    pour,
    remote_of,
    staged,
    sync_every,
    unproved,
)
from tests.disk.steps import KEEP
from tests.interrupting import DELETED, STOPPED, assert_nothing_left, interrupt, patched
from tests.procs import Spawned, wait_until
from tests.servers import FaultyServer

MIB = 1 << 20
DATA = gguf(3 * MIB)
HALF = len(DATA) // 2
BOUND_S = 2.5
"""Two seconds, and what a busy machine takes for the rest."""


class Standstill:
    """The first call of a function hangs until `release`, then ends with `error`, or as the real one. Later ones work.

    Attributes:
        reached: the call has begun.
    """

    def __init__(self, real: Callable[..., Any], error: Exception | None = None, suffix: str = ".part") -> None:
        self.reached = threading.Event()
        self.thread: threading.Thread | None = None
        self._go = threading.Event()
        self._real = real
        self._error = error
        self._suffix = suffix

    def __call__(self, file: Any, *rest: Any, **more: Any) -> Any:
        path = file if isinstance(file, Path) else file.path
        if self.thread or path.suffix != self._suffix:
            return self._real(file, *rest, **more)
        self.thread = threading.current_thread()
        self.reached.set()
        assert self._go.wait(30)
        if self._error:
            raise self._error
        return self._real(file, *rest, **more)

    def release(self) -> None:
        """Let it continue, and wait until its thread has finished."""
        self._go.set()
        if self.thread:
            self.thread.join(20)
            assert not self.thread.is_alive()


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Standstill]]:
    """Make a function of `fs` hang; at the end all hanging threads continue."""
    made: list[Standstill] = []

    def hang(name: str, error: Exception | None = None, suffix: str = ".part") -> Standstill:
        made.append(Standstill(getattr(fs, name), error, suffix))
        monkeypatch.setattr(fs, name, made[-1])
        return made[-1]

    yield hang
    for standstill in made:
        standstill.release()


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(act: Callable[[CancelToken], object], standstill: Standstill) -> float:
    """Cancel `act` when it hangs. Returns: the seconds that it took from there."""
    token, ended = CancelToken(), list[type[BaseException] | None]()

    def run() -> None:
        try:
            act(token)
            ended.append(None)
        except BaseException as error:  # noqa: BLE001 - compared below
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    assert standstill.reached.wait(20)
    began = time.monotonic()
    token.cancel()
    thread.join(30)
    assert ended == [Interrupted]
    return time.monotonic() - began


@pytest.mark.parametrize("late", [no_space(), None], ids=["fails late", "succeeds late"])
def test_a_late_claim_of_space_does_not_touch_the_file_that_another_install_completed(
    server: FaultyServer, home: Path, hang: Callable[..., Standstill], late: OSError | None
) -> None:
    """An interrupted install whose process lives on, and the same model installed in it meanwhile."""
    url = server.serve("/m.gguf", DATA)
    options = Options(min_free=0, keep_partial=True, connections=1)

    def install(token: CancelToken | None = None, heard: list[Event] | None = None) -> list[Path]:
        emit = (heard if heard is not None else list[Event]()).append
        return luci_dl.install(url, sha256=digest_of(DATA), options=options, token=token, emit=emit)

    kill_after(home / "models", DATA, HALF, "m.gguf")
    part = home / "models" / ".luci" / "m.gguf.part"
    assert part.exists()
    heard = list[Event]()
    allocate = hang("allocate", late)
    took = interrupted(lambda token: install(token, heard), allocate)
    assert took < BOUND_S
    assert any(isinstance(event, Deleted) for event in heard)
    assert any(isinstance(event, Warned) and "m.gguf cannot be kept" in event.message for event in heard)
    assert not part.exists()
    assert is_free(home / "models", "m.gguf")
    (path,) = install()
    allocate.release()
    assert path.read_bytes() == DATA
    assert staged(home / "models") == ["m.gguf.receipt"]


SLOW = """
from luci_dl.disk import fs
allocate = fs.allocate
def slow(*args, **more):
    os.write(2, b"halted\\n")
    time.sleep(4)
    allocate(*args, **more)
fs.allocate = slow
"""


def test_ctrl_c_in_a_slow_preallocation_takes_two_seconds(server: FaultyServer, home: Path) -> None:
    """With --keep-partial, in a terminal, in less than four seconds; the messages are true, and nothing is left."""
    kill_after(home / "models", DATA, HALF, "m.gguf")
    url = server.serve("/m.gguf", DATA)
    with Spawned("install", url, "--sha256", digest_of(DATA), "--keep-partial", command=patched(SLOW)) as luci:
        luci.wait_for("halted")
        assert interrupt(luci, [signal.SIGINT]) < BOUND_S
        assert luci.process.returncode == -signal.SIGINT
        why = "The partial download of m.gguf cannot be kept: the disk did not finish its last operation in time"
        assert luci.err.endswith(f"{STOPPED}⚠️  {why}\n{DELETED.format('m.gguf')}")
    assert_nothing_left(home / "models")


def transact(folder: Path, events: list[Event], step: Callable[[Transaction], object]) -> Callable[[CancelToken], None]:
    """A transaction that keeps its parts. Returns: what runs it."""

    def act(token: CancelToken) -> None:
        transaction = Transaction(folder, [artifact_of(DATA)], options=KEEP, token=token)
        try:
            with transaction:
                step(transaction)
        finally:
            events.extend(transaction.endings)

    return act


def open_part(transaction: Transaction) -> Part:
    return transaction.open(artifact_of(DATA))


def fetch_half(transaction: Transaction) -> None:
    pour(open_part(transaction), DATA, HALF)
    transaction._token.wait(30)
    transaction._token.check()


def start_over(transaction: Transaction) -> None:
    part = open_part(transaction)
    pour(part, DATA, HALF)
    part.forget()


@pytest.mark.parametrize(
    ("call", "kept", "step"),
    [
        ("allocate", True, open_part),
        ("set_length", True, open_part),
        ("write_at", True, fetch_half),
        ("set_length", False, start_over),
    ],
)
def test_a_change_that_hangs_ends_the_part_in_two_seconds(
    tmp_path: Path, hang: Callable[..., Standstill], call: str, kept: bool, step: Callable[[Transaction], object]
) -> None:
    """It loses its name, so nobody else gets the file that may yet be changed; the user learns why."""
    if kept:
        kill_after(tmp_path, DATA, HALF // 2)
    events = list[Event]()
    standstill = hang(call)
    assert interrupted(transact(tmp_path, events, step), standstill) < BOUND_S
    assert [type(event) for event in events] == [Warned, Deleted]
    assert staged(tmp_path) == []
    assert is_free(tmp_path)
    standstill.release()
    assert staged(tmp_path) == []


def test_a_change_that_comes_back_in_time_costs_nothing(tmp_path: Path, hang: Callable[..., Standstill]) -> None:
    """The part is kept; the thread that made the change finds the gate closed for its next one."""
    kill_after(tmp_path, DATA, HALF)
    events = list[Event]()
    standstill = hang("allocate", no_space())
    threading.Timer(1.0, standstill.release).start()
    assert interrupted(transact(tmp_path, events, open_part), standstill) < BOUND_S
    assert events == [Kept(NAME, HALF, len(DATA))]
    assert is_free(tmp_path)
    kept = (tmp_path / ".luci" / f"{NAME}.part").read_bytes()
    standstill.release()
    assert (tmp_path / ".luci" / f"{NAME}.part").read_bytes() == kept


def test_a_sync_that_hangs_costs_the_bytes_that_it_should_sync(
    tmp_path: Path, hang: Callable[..., Standstill], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes no byte, so the part is kept up to the last line of the journal."""
    sync_every(monkeypatch, 256 * KIB)
    events = list[Event]()
    standstill: list[Standstill] = []

    def step(transaction: Transaction) -> None:
        part = open_part(transaction)
        pour(part, DATA, MIB)
        wait_until(lambda: part.frontier == MIB)
        wait_until(lambda: (tmp_path / ".luci" / f"{NAME}.journal").read_bytes().count(b'"at"'))
        standstill.append(hang("sync_data"))
        pour(part, DATA, HALF)
        assert standstill[0].reached.wait(20)
        raise Interrupted

    began = time.monotonic()
    with pytest.raises(Interrupted):
        transact(tmp_path, events, step)(CancelToken())
    assert time.monotonic() - began < BOUND_S + 1
    (kept,) = events
    assert isinstance(kept, Kept)
    assert 256 * KIB <= kept.done <= MIB
    assert is_free(tmp_path)
    standstill[0].release()
    with Transaction(tmp_path, [artifact_of(DATA)], options=KEEP) as transaction:
        part = open_part(transaction)
        assert part.received == kept.done
        pour(part, DATA)
        transaction.commit()
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_disk_that_cannot_even_delete_keeps_the_lock(tmp_path: Path, hang: Callable[..., Standstill]) -> None:
    """Until it can: the part may still change, so no other process may have it. The user waits two seconds."""
    kill_after(tmp_path, DATA, HALF)
    events = list[Event]()
    allocate, unlink = hang("allocate"), hang("unlink")
    assert interrupted(transact(tmp_path, events, open_part), allocate) < BOUND_S
    part = tmp_path / ".luci" / f"{NAME}.part"
    assert events == [NotDeleted(NAME, "the disk does not respond", str(part))]
    assert part.exists()
    assert not is_free(tmp_path)
    unlink.release()
    wait_until(lambda: is_free(tmp_path))
    assert staged(tmp_path) == []


def test_a_failed_network_gives_the_disk_more_time(tmp_path: Path, hang: Callable[..., Standstill]) -> None:
    """Nobody waits for it then, so all bytes are kept."""
    events = list[Event]()

    def step(transaction: Transaction) -> None:
        standstill = hang("sync_data")
        pour(open_part(transaction), DATA, HALF)
        threading.Timer(3.0, standstill.release).start()
        raise NetworkError("down")

    with pytest.raises(NetworkError):
        transact(tmp_path, events, step)(CancelToken())
    assert events == [Kept(NAME, HALF, len(DATA))]


def test_no_name_is_made_after_the_end(tmp_path: Path) -> None:
    """A worker that was about to make the part, whose size it just learned, finds the gate closed."""
    with Transaction(tmp_path, [unproved()], options=KEEP) as transaction:
        part = transaction.open(unproved())
        lease = claimed(part)
    with pytest.raises(Revoked):
        part.begin(lease, remote_of(DATA), 0)
    assert staged(tmp_path) == []
