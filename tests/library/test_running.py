"""What is running is what the held locks say, in every models folder; looking changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import locks
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import Lock, is_held
from luci_dl.disk.locks import Locks
from luci_dl.errors import LockedError
from luci_dl.events import Event
from luci_dl.library.running import running
from luci_dl.model import Artifact
from tests.disk.hands import artifact_of, held, unproved
from tests.procs import files_left, wait_until

DATA = b"GGUF and more"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "REPORT_S", 0.01)


def ignore(_event: Event) -> None:
    pass


def taken(folder: Path, *artifacts: Artifact, reference: str = "owner/model") -> Locks:
    """The locks of one model, held."""
    mine = Locks([(staging_for(folder, artifact.name), artifact) for artifact in artifacts], reference)
    mine.acquire(None, CancelToken(), ignore)
    return mine


def test_what_is_running_is_found_in_every_folder(tmp_path: Path) -> None:
    """By which process, since when, and the progress; a model of several files is one entry."""
    one = taken(tmp_path / "a", artifact_of(DATA, "sub/1.gguf"), artifact_of(DATA, "2.gguf"))
    two = taken(tmp_path / "b", unproved(), reference="two")
    one.report("2.gguf", 5, len(DATA), 2.5)
    wait_until(lambda: any(run.done == 5 for run in running([tmp_path / "a"])))
    found = {run.model: run for run in running([tmp_path / "a", tmp_path / "b", tmp_path / "not there"])}
    assert set(found) == {"model", "two"}
    run = found["model"]
    assert (run.names, run.folder, run.pid) == (("2.gguf", "sub/1.gguf"), tmp_path / "a", os.getpid())
    assert (run.done, run.total, run.rate, run.command) == (5, 2 * len(DATA), 2.5, "luci install model")
    assert found["two"].total is None
    one.release("installed")
    two.release("rolled back")
    assert running([tmp_path / "a", tmp_path / "b"]) == []


def test_a_text_without_a_lock_proves_nothing(tmp_path: Path) -> None:
    """After `kill -9` it still says that the process is running."""
    mine = taken(tmp_path, artifact_of(DATA))
    path = staging_for(tmp_path, "model.gguf").lock
    text = path.read_bytes()
    mine.release("rolled back")
    path.write_bytes(text)
    assert running([tmp_path]) == []
    with held(tmp_path):
        assert [run.model for run in running([tmp_path])] == ["model"]


def test_a_lock_without_a_text_is_no_running_download(tmp_path: Path) -> None:
    """`clean` holds such locks, and an install that still waits for another lock."""
    with held(tmp_path):
        assert running([tmp_path]) == []


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """And needs no write permission."""
    taken(tmp_path, artifact_of(DATA)).release("installed")
    mine = taken(tmp_path, artifact_of(DATA, "other.gguf"))
    before = files_left(tmp_path)
    for path in tmp_path.rglob("*.lock"):
        path.chmod(0o444)
    assert len(running([tmp_path])) == 1
    assert files_left(tmp_path) == before
    mine.release("installed")


def test_something_else_with_the_name_of_a_lock_file_is_passed_over(tmp_path: Path) -> None:
    """A named pipe would never be read to its end."""
    (tmp_path / ".luci" / "folder.lock").mkdir(parents=True)
    os.mkfifo(tmp_path / ".luci" / "pipe.lock")
    (tmp_path / ".luci" / "torn.lock").write_text('{"v": 1')
    assert running([tmp_path]) == []


def test_a_lock_that_is_held_for_a_moment_makes_nobody_give_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not wait tries once more when the moment is over."""
    path = staging_for(tmp_path, "model.gguf").lock
    path.parent.mkdir(parents=True)
    holder = Lock(path)
    assert holder.try_acquire()
    assert is_held(path)
    waits: list[float] = []

    def end_of_the_moment(_token: CancelToken, seconds: float) -> bool:
        waits.append(seconds)
        holder.release()
        return False

    monkeypatch.setattr(CancelToken, "wait", end_of_the_moment)
    mine = Locks([(staging_for(tmp_path, "model.gguf"), artifact_of(DATA))], "model")
    mine.acquire(0.0, CancelToken(), ignore)
    assert waits == [locks.GLANCE_S]
    with pytest.raises(LockedError):
        Locks([(staging_for(tmp_path, "model.gguf"), artifact_of(DATA))], "model").acquire(0.0, CancelToken(), ignore)
    mine.release("installed")
