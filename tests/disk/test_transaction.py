"""Every row of the table of endings."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs, receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import read_lock_info
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, Interrupted, LuciError, NetworkError, ResolveError, StorageError
from luci_dl.events import Deleted, Event, Kept, NotDeleted, Warned
from luci_dl.library.clean import clean
from luci_dl.plan import Options
from tests.disk.hands import (
    KIB,
    NAME,
    OPTIONS,
    artifact_of,
    assert_ends,
    digest_of,
    is_free,
    pour,
    remote_of,
    staged,
    unproved,
)
from tests.disk.steps import DATA, KEEP, RECEIPT, STAY, WRONG, Step, fail, finish, half, run, whole
from tests.procs import files_left, wait_until

GONE: list[str] = []


def outcome(folder: Path) -> str:
    text = read_lock_info(staging_for(folder, NAME).lock)
    assert text
    return text.outcome


def test_success(tmp_path: Path) -> None:
    """The part becomes the target, the receipt describes it, the journal is gone, the lock free."""
    transaction = run(tmp_path, whole, finish)
    assert files_left(tmp_path) == [".luci/", f".luci/{NAME}.lock", f".luci/{NAME}.receipt", NAME]
    assert (tmp_path / NAME).read_bytes() == DATA
    known = receipt.read(staging_for(tmp_path, NAME).receipt)
    assert known
    assert (known.sha256, known.size, known.proof, known.files) == (digest_of(DATA), len(DATA), "sha256", (NAME,))
    assert known.mtime_ns == (tmp_path / NAME).stat().st_mtime_ns
    assert transaction.endings == []
    assert outcome(tmp_path) == "installed"
    assert is_free(tmp_path)


def test_the_installed_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    """As any program's new files."""
    before = os.umask(0o027)
    try:
        run(tmp_path, whole, finish)
    finally:
        os.umask(before)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o640


def test_late_trouble_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the rename nothing fails the install, and the next one writes the receipt."""
    heard = list[Event]()
    monkeypatch.setattr(
        receipt, "write", lambda *_, **__: (_ for _ in ()).throw(StorageError("cannot write the receipt"))
    )
    run(tmp_path, whole, finish, emit=heard.append)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert any(isinstance(event, Warned) and "cannot write the receipt" in event.message for event in heard)
    assert is_free(tmp_path)
    monkeypatch.undo()
    run(tmp_path)
    assert staged(tmp_path) == [f"{NAME}.receipt"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_lock_that_the_system_does_not_release_is_free_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The model is installed: some network file systems cannot unlock what they locked."""
    heard, real = list[Event](), fcntl.flock

    def refuse(file: Any, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            raise OSError(code, os.strerror(code))
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", refuse)
    run(tmp_path, whole, finish, emit=heard.append)
    monkeypatch.undo()
    assert (tmp_path / NAME).read_bytes() == DATA
    assert staged(tmp_path) == [RECEIPT]
    assert is_free(tmp_path)
    assert not [event for event in heard if isinstance(event, Warned)]


def test_a_target_that_vanishes_after_the_rename_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program moved it away at once; it was installed."""
    real = fs.rename

    def vanish(old: Path, new: Path) -> None:
        real(old, new)
        if new.name == NAME:
            new.unlink()

    monkeypatch.setattr(fs, "rename", vanish)
    run(tmp_path, whole, finish)
    assert staged(tmp_path) == [RECEIPT]
    assert is_free(tmp_path)


def test_one_receipt_that_cannot_be_written_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a set; the record stays until the next install or clean has written that one, too."""
    files, heard, real = [(DATA, "a.gguf"), (DATA, "b.gguf")], list[Event](), receipt.write
    artifacts = [artifact_of(data, name) for data, name in files]

    def refuse(path: Path, *rest: Any, **more: Any) -> fs.File:
        if path.name == "a.gguf.receipt":
            raise StorageError("cannot write the receipt")
        return real(path, *rest, **more)

    monkeypatch.setattr(receipt, "write", refuse)
    with Transaction(tmp_path, artifacts, options=OPTIONS, emit=heard.append) as transaction:
        for artifact in artifacts:
            pour(transaction.open(artifact), DATA)
        transaction.commit()
    assert [event.message for event in heard if isinstance(event, Warned)] == [
        "cannot write the receipt; once that is corrected, the next luci install or luci clean completes it"
    ]
    assert staged(tmp_path) == ["a.gguf.commit", "a.gguf.journal", "b.gguf.journal", "b.gguf.receipt"]
    monkeypatch.undo()
    run(tmp_path)
    clean(tmp_path, None, False, CancelToken(), heard.append)
    assert staged(tmp_path) == ["a.gguf.receipt", "b.gguf.receipt"]


def test_an_error_after_the_commit_undoes_nothing(tmp_path: Path) -> None:
    """Whatever the block does afterwards."""
    assert_ends(tmp_path, NetworkError, lambda: run(tmp_path, whole, finish, fail(NetworkError("late"))), [RECEIPT])
    assert (tmp_path / NAME).read_bytes() == DATA


@pytest.mark.parametrize(
    ("error", "options", "left", "last"),
    [
        (Interrupted(signal.SIGINT), OPTIONS, GONE, "rolled back"),
        (Interrupted(signal.SIGTERM), KEEP, STAY, "suspended"),
        (Interrupted(), OPTIONS, GONE, "rolled back"),
        (IntegrityError("wrong"), OPTIONS, GONE, "wrong bytes"),
        (IntegrityError("wrong"), KEEP, GONE, "wrong bytes"),
        (StorageError("full"), OPTIONS, GONE, "rolled back"),
        (StorageError("full"), KEEP, GONE, "rolled back"),
        (NetworkError("down"), OPTIONS, STAY, "suspended"),
        (ResolveError("gone"), OPTIONS, STAY, "suspended"),
    ],
    ids=str,
)
@pytest.mark.parametrize("older", [False, True])
def test_every_other_ending(
    tmp_path: Path, error: LuciError, options: Options, left: list[str], last: str, older: bool
) -> None:
    """Part and journal go or stay by the error, the older file stands, the lock is free."""
    if older:
        (tmp_path / NAME).write_text("older")
    transaction = Transaction(tmp_path, [artifact_of(DATA)], options=options)

    def act() -> None:
        with transaction:
            half(transaction)
            raise error

    assert assert_ends(tmp_path, type(error), act, left) is error
    assert (tmp_path / NAME).exists() == older
    assert transaction.endings == [Kept(NAME, 32 * KIB, len(DATA)) if left else Deleted(NAME)]
    assert outcome(tmp_path) == last


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()])
def test_any_other_exception_rolls_back(tmp_path: Path, error: BaseException) -> None:
    """A bug, or the user of the API: nothing is left, the lock is free."""
    with pytest.raises(type(error)):
        run(tmp_path, half, fail(error), options=KEEP)
    assert staged(tmp_path) == []
    assert is_free(tmp_path)


def test_not_committing_is_rolling_back(tmp_path: Path) -> None:
    """Although all bytes were there."""
    transaction = run(tmp_path, whole)
    assert transaction.endings == [Deleted(NAME)]
    assert staged(tmp_path) == []
    assert is_free(tmp_path)


def test_nothing_is_kept_of_a_part_whose_sync_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network failed first, and then the disk: bytes that may not be on disk are not kept."""
    transaction = Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS)

    def act() -> None:
        with transaction:
            half(transaction)
            monkeypatch.setattr(fs, "sync_data", lambda _: (_ for _ in ()).throw(StorageError("cannot sync")))
            raise NetworkError("down")

    assert_ends(tmp_path, NetworkError, act, [])
    assert transaction.endings == [Deleted(NAME)]


def test_wrong_bytes_leave_nothing(tmp_path: Path) -> None:
    """The file that they should replace stays."""
    (tmp_path / NAME).write_text("older")
    opening: Step = lambda transaction: pour(transaction.open(artifact_of(DATA)), WRONG)  # noqa: E731
    error = assert_ends(tmp_path, IntegrityError, lambda: run(tmp_path, opening, finish), [])
    assert "are wrong" in error.message
    assert (tmp_path / NAME).read_text() == "older"


def test_a_part_that_cannot_be_deleted_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's reason and the real path; the lock is free all the same."""
    transaction = Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS)

    def refuse(path: Path) -> bool:
        with fs.storage_errors("delete", path):
            raise PermissionError(13, "Permission denied")

    def act() -> None:
        with transaction:
            half(transaction)
            monkeypatch.setattr(fs, "unlink", refuse)
            raise Interrupted(signal.SIGINT)

    assert_ends(tmp_path, Interrupted, act, STAY)
    path = str(staging_for(tmp_path, NAME).part)
    assert transaction.endings == [NotDeleted(NAME, "Permission denied", path)]


def test_a_kept_part_is_resumed_by_the_next(tmp_path: Path) -> None:
    """Only the rest is fetched."""
    with pytest.raises(NetworkError):
        run(tmp_path, half, fail(NetworkError("down")))
    fetched = list[int]()

    def rest(transaction: Transaction) -> None:
        part = transaction.open(artifact_of(DATA))
        pour(part, DATA)
        fetched.append(part.fetched)

    run(tmp_path, rest, finish)
    assert fetched == [32 * KIB]
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_transaction_serves_once(tmp_path: Path) -> None:
    """A second block is a bug, and takes no lock."""
    transaction = run(tmp_path, whole, finish)
    with pytest.raises(RuntimeError, match="one `with` block"), transaction:
        pass
    assert is_free(tmp_path)


def test_a_commit_of_nothing_does_nothing(tmp_path: Path) -> None:
    """All was there already."""
    run(tmp_path, finish)
    assert staged(tmp_path) == []


def test_an_error_while_looking_for_a_record_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block is not even entered."""
    answers = iter([None, StorageError("cannot read")])

    def records_of(*_: object) -> list[Path]:
        if error := next(answers):
            raise error
        return []

    monkeypatch.setattr(commit, "records_of", records_of)
    assert_ends(tmp_path, StorageError, lambda: run(tmp_path), [])


def test_its_threads_end_with_it(tmp_path: Path) -> None:
    """Committed, rolled back or kept."""
    before = set(threading.enumerate())
    with pytest.raises(NetworkError):
        run(tmp_path, half, fail(NetworkError("down")))
    run(tmp_path, whole)
    run(tmp_path, whole, finish)
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_a_file_of_which_nothing_is_known_is_installed_as_it_came(tmp_path: Path) -> None:
    """The digest found is recorded, and the receipt says that nothing proved it."""
    with Transaction(tmp_path, [unproved()], options=OPTIONS) as transaction:
        pour(transaction.open(unproved()), DATA, remote=remote_of(DATA, None))
        transaction.commit()
    known = receipt.read(staging_for(tmp_path, NAME).receipt)
    assert known
    assert (known.proof, known.sha256, known.size) == ("none", digest_of(DATA), len(DATA))
