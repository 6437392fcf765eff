"""The locks of one model: taken in one order, all or none, with a text that says how far it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import locks
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import Lock, is_held, read_lock_info
from luci_dl.disk.lock_info import LockInfo
from luci_dl.disk.locks import Locks
from luci_dl.errors import IntegrityError, Interrupted, LockedError
from luci_dl.events import Event, Waiting
from luci_dl.model import Artifact
from tests.disk.hands import artifact_of, held, is_free
from tests.procs import ROOT, wait_until

DATA = b"GGUF and more"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "POLL_S", 0.02)
    monkeypatch.setattr(locks, "REPORT_S", 0.02)


def locks_of(folder: Path, *names: str, artifact: Artifact | None = None) -> Locks:
    return Locks([(staging_for(folder, name), artifact or artifact_of(DATA, name)) for name in names], "model")


def ignore(_event: Event) -> None:
    pass


def test_all_locks_or_none(tmp_path: Path) -> None:
    """The one that was taken first is free again when the second is held by another."""
    with held(tmp_path, "b.gguf"), pytest.raises(LockedError, match="another process") as caught:
        locks_of(tmp_path, "b.gguf", "a.gguf").acquire(0.0, CancelToken(), ignore)
    assert caught.value.exit_code == 7
    assert is_free(tmp_path, "a.gguf")


def test_two_models_that_share_files_never_wait_for_each_other_in_a_circle(tmp_path: Path) -> None:
    """Whatever order their files come in."""
    rounds = 30

    def work(*names: str) -> None:
        for _ in range(rounds):
            mine = locks_of(tmp_path, *names)
            mine.acquire(None, CancelToken(), ignore)
            mine.release("installed")

    threads = [threading.Thread(target=work, args=names) for names in (("a", "b", "c"), ("c", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_a_waiting_process_learns_who_holds_the_lock_and_the_progress(tmp_path: Path) -> None:
    """Pid, command, since, bytes; and the progress is up to date."""
    mine = locks_of(tmp_path, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    token, events = CancelToken(), list[Event]()

    def note(event: Event) -> None:
        events.append(event)
        if isinstance(event, Waiting) and event.done == 5:
            token.cancel()

    mine.report("a.gguf", 5, 10, 2.5)
    with pytest.raises(Interrupted):
        locks_of(tmp_path, "a.gguf").acquire(None, token, note)
    last = events[-1]
    assert isinstance(last, Waiting)
    assert (last.done, last.total, last.rate, last.command) == (5, 10, 2.5, "luci install model")
    mine.release("installed")
    assert is_free(tmp_path, "a.gguf")


def test_the_progress_is_that_of_all_files_that_both_want(tmp_path: Path) -> None:
    """The first file, whose lock is waited for, may have long been complete."""
    mine = locks_of(tmp_path, "a.gguf", "b.gguf", "c.gguf")
    mine.acquire(None, CancelToken(), ignore)
    for name, done, rate in (("a.gguf", 10, 4.0), ("b.gguf", 5, 2.5), ("c.gguf", 1, 1.0)):
        mine.report(name, done, 10, rate)
    token, events = CancelToken(), list[Event]()

    def note(event: Event) -> None:
        events.append(event)
        if isinstance(event, Waiting) and event.done == 15:
            token.cancel()

    with pytest.raises(Interrupted):
        locks_of(tmp_path, "a.gguf", "b.gguf").acquire(None, token, note)
    last = events[-1]
    assert isinstance(last, Waiting)
    assert (last.name, last.done, last.total, last.rate) == ("a.gguf", 15, 20, 2.5)
    mine.release("installed")


def test_waiting_ends_when_the_time_is_over(tmp_path: Path) -> None:
    """And the error says who holds the lock."""
    mine = locks_of(tmp_path, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    with pytest.raises(LockedError, match=r"pid \d+ on .* \(luci install model\) since [\d: -]+$"):
        locks_of(tmp_path, "a.gguf").acquire(0.1, CancelToken(), ignore)
    mine.release("installed")


def wait_while(folder: Path, artifact: Artifact, outcome: str, message: str = "") -> BaseException | None:
    """How an acquire ends that waits for a transaction with that outcome."""
    mine = locks_of(folder, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    waiting, ends = threading.Event(), list[BaseException | None]()

    def work() -> None:
        other = locks_of(folder, "a.gguf", artifact=artifact)
        try:
            other.acquire(None, CancelToken(), lambda _event: waiting.set())
        except IntegrityError as error:
            ends.append(error)
        else:
            other.release("rolled back")
            ends.append(None)

    thread = threading.Thread(target=work)
    thread.start()
    assert waiting.wait(10)
    mine.release(outcome, message, "a hint")
    thread.join(10)
    assert is_free(folder, "a.gguf")
    return ends[0]


def test_an_acquire_that_waited_for_the_same_wrong_bytes_fails(tmp_path: Path) -> None:
    """With the same message, and without downloading them again."""
    error = wait_while(tmp_path, artifact_of(DATA, "a.gguf"), "wrong bytes", "they are wrong")
    assert isinstance(error, IntegrityError)
    assert (error.message, error.hint) == ("they are wrong", "a hint")


def test_an_acquire_that_waited_for_other_bytes_succeeds(tmp_path: Path) -> None:
    """Another digest may well be right."""
    assert wait_while(tmp_path, artifact_of(b"others", "a.gguf"), "wrong bytes", "they are wrong") is None


@pytest.mark.parametrize("outcome", ["installed", "suspended", "rolled back", ""])
def test_after_any_other_outcome_the_waiting_process_takes_over(tmp_path: Path, outcome: str) -> None:
    """An interrupt in one terminal is none in the other."""
    assert wait_while(tmp_path, artifact_of(DATA, "a.gguf"), outcome) is None


def test_an_acquire_that_did_not_wait_ignores_the_last_outcome(tmp_path: Path) -> None:
    """The user may try again."""
    mine = locks_of(tmp_path, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    mine.release("wrong bytes", "they are wrong")
    again = locks_of(tmp_path, "a.gguf")
    again.acquire(None, CancelToken(), ignore)
    assert not again.lost()
    again.release("installed")


def test_the_outcome_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older text of the thread that writes the progress never replaces it, however slow that thread is."""
    real, writing, written, late = Lock.write, threading.Event(), threading.Event(), threading.Event()

    def slow(lock: Lock, text: LockInfo) -> None:
        if threading.current_thread().name == "luci-lock":
            writing.set()
            written.wait(0.2)
            real(lock, text)
            late.set()
        else:
            real(lock, text)
            written.set()
            late.wait(0.2)

    path = staging_for(tmp_path, "a.gguf").lock
    mine = locks_of(tmp_path, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    monkeypatch.setattr(Lock, "write", slow)
    mine.report("a.gguf", 5, None, 0.0)
    assert writing.wait(10)
    mine.release("wrong bytes", "they are wrong")
    text = read_lock_info(path)
    assert text
    assert (text.outcome, text.done) == ("wrong bytes", 5)


def test_an_acquire_that_fails_for_any_reason_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even after a bug."""

    def fail(_self: threading.Thread) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError):
        locks_of(tmp_path, "a.gguf", "b.gguf").acquire(None, CancelToken(), ignore)
    assert is_free(tmp_path, "a.gguf")
    assert is_free(tmp_path, "b.gguf")


def test_locks_are_held_without_a_thread_that_writes_the_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system allows no more of them: the text at the beginning and at the end is written all the same."""

    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    mine = locks_of(tmp_path, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    assert not is_free(tmp_path, "a.gguf")
    mine.release("installed")
    assert is_free(tmp_path, "a.gguf")


def test_the_thread_that_writes_the_progress_ends_with_the_locks(tmp_path: Path) -> None:
    """It does not outlive the release."""
    mine = locks_of(tmp_path, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    mine.release("installed")
    wait_until(lambda: not any(thread.name == "luci-lock" for thread in threading.enumerate()))


ACQUIRE_OFTEN = """
import json, sys, time
from pathlib import Path
from luci_dl.cancel import CancelToken
from luci_dl.disk.layout import staging_for
from luci_dl.disk.locks import Locks
from luci_dl.model import Artifact

staging, times, waited = staging_for(Path(sys.argv[1]), "a.gguf"), [], []
for _ in range(60):
    locks = Locks([(staging, Artifact("a.gguf", ("https://h/a.gguf",)))], "model")
    start = time.monotonic()
    locks.acquire(None, CancelToken(), lambda event: waited.append(repr(event)))
    times.append(time.monotonic() - start)
    locks.release("rolled back")
print(json.dumps([sorted(times)[-5], waited]))  # the machine itself may be late a few times
"""


def ended_pid() -> int:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    return child.pid


def text_of_the_dead(folder: Path) -> LockInfo:
    """What a killed process left in a lock file. Returns: the text."""
    mine = locks_of(folder, "a.gguf")
    mine.acquire(None, CancelToken(), ignore)
    path = staging_for(folder, "a.gguf").lock
    text = read_lock_info(path)
    mine.release("rolled back")
    assert text
    dead = replace(text, pid=ended_pid())
    path.write_bytes(dead.to_bytes())
    return dead


def test_reading_a_lock_makes_nobody_wait(tmp_path: Path) -> None:
    """While two threads read the lock all the time, another process takes it at once."""
    text_of_the_dead(tmp_path)
    path, stop = staging_for(tmp_path, "a.gguf").lock, threading.Event()

    def look() -> None:
        while not stop.is_set():
            is_held(path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        command = [sys.executable, "-P", "-c", ACQUIRE_OFTEN, str(tmp_path)]
        ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    finally:
        stop.set()
        for looker in lookers:
            looker.join()
    assert ended.returncode == 0, ended.stderr
    long, waited = json.loads(ended.stdout)
    assert waited == []
    assert long < 0.3


@pytest.mark.parametrize("how_it_ended", ["killed", "released"])
def test_an_earlier_holder_is_not_named(tmp_path: Path, how_it_ended: str) -> None:
    """Whoever holds the lock now has not written who it is yet."""
    text = text_of_the_dead(tmp_path)
    if how_it_ended == "released":
        staging_for(tmp_path, "a.gguf").lock.write_bytes(replace(text, pid=os.getpid(), outcome="installed").to_bytes())
    with held(tmp_path, "a.gguf"):
        events = list[Event]()
        with pytest.raises(LockedError, match=r"a\.gguf is being installed by another process$"):
            locks_of(tmp_path, "a.gguf").acquire(0.1, CancelToken(), events.append)
    assert {event.pid for event in events if isinstance(event, Waiting)} == {None}


def test_a_holder_of_another_machine_is_named(tmp_path: Path) -> None:
    """Its pid means nothing on this machine."""
    text = replace(text_of_the_dead(tmp_path), host="elsewhere")
    staging_for(tmp_path, "a.gguf").lock.write_bytes(text.to_bytes())
    with held(tmp_path, "a.gguf"), pytest.raises(LockedError, match=f"pid {text.pid} on elsewhere"):
        locks_of(tmp_path, "a.gguf").acquire(0.0, CancelToken(), ignore)
