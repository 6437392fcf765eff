"""From verified parts to installed files: an install that a crash cut off is rolled forward."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs, journal, receipt
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import Staging, staging_for
from luci_dl.disk.receipt import Receipt
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import Interrupted, StorageError
from luci_dl.events import Event, LeftAlone, RolledForward, ignore
from luci_dl.library.clean import clean
from tests.disk.hands import (
    KIB,
    NAME,
    OPTIONS,
    artifact_of,
    digest_of,
    gguf,
    held,
    install,
    is_free,
    opened,
    part_at,
    pour,
    staged,
)
from tests.procs import wait_until

FILES = [(gguf(24 * KIB, seed), name) for seed, name in enumerate(("a.gguf", "sub/b.gguf"))]
NAMES = [name for _, name in FILES]
RECEIPTS = ["a.gguf.receipt", "sub/b.gguf.receipt"]
Staged = list[tuple[Staging, CommitEntry]]


def ready(folder: Path, files: Sequence[tuple[bytes, str]] = FILES) -> Staged:
    """Parts that are filled, verified and synced, and their journals: the moment before the commit."""
    found = []
    for data, name in files:
        part = part_at(folder, artifact_of(data, name))
        opened(part)
        pour(part, data)
        digest, moment, names = part.verify(CancelToken()), receipt.now(), tuple(name for _, name in files)
        known = Receipt(name, "model", names, "model", "", digest, "sha256", len(data), part.mtime_ns, moment, moment)
        record = files[0][1] if len(files) > 1 else None
        found.append((part.staging, CommitEntry(len(data), digest, part.inode, known, record)))
        part.finish_journal(found[-1][1])
        part.close()
    return found


def record_stands(folder: Path, renamed: int = 0, settled: int = 0) -> Staged:
    """Leave the files of a crash after the commit record and that many renames and receipts."""
    found = ready(folder)
    commit.write_record(found[0][0].commit, found)
    commit.rename_all(found[:renamed])
    for staging, done in found[:settled]:
        receipt.write(staging.receipt, done.receipt)
        staging.journal.unlink()
    return found


def roll_by_install(folder: Path, names: Sequence[str] = NAMES) -> list[str]:
    """Take the locks as an install does. Returns: the names that were rolled forward."""
    heard = list[Event]()
    artifacts = [artifact_of(data, name) for data, name in FILES if name in names]
    with Transaction(folder, artifacts, options=OPTIONS, emit=heard.append) as transaction:
        assert {transaction.look(artifact).state for artifact in artifacts} == {"installed"}
    return [event.name for event in heard if isinstance(event, RolledForward)]


def assert_installed(folder: Path) -> None:
    for data, name in FILES:
        assert (folder / name).read_bytes() == data
        known = receipt.read(staging_for(folder, name).receipt)
        assert known
        assert (known.sha256, known.mtime_ns) == (digest_of(data), (folder / name).stat().st_mtime_ns)
        assert is_free(folder, name)
    assert staged(folder) == RECEIPTS


CRASHES = [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]


@pytest.mark.parametrize("names", [NAMES, NAMES[:1], NAMES[1:]])
@pytest.mark.parametrize(("renamed", "settled"), CRASHES)
def test_the_next_install_completes_a_set(tmp_path: Path, renamed: int, settled: int, names: list[str]) -> None:
    """After a crash at every step, without a byte from the network, also when it wants one of the files alone."""
    record_stands(tmp_path, renamed, settled)
    assert roll_by_install(tmp_path, names) == NAMES
    assert_installed(tmp_path)


def test_a_record_names_the_files_of_the_model_once(tmp_path: Path) -> None:
    """A model may have hundreds of files. Each gets a receipt with all names."""
    found = record_stands(tmp_path)
    path = found[0][0].commit
    assert path.read_text().count('"sub/b.gguf"]') == 1
    assert commit.read_record(path) == [(str(staging.name), entry) for staging, entry in found]


def test_a_record_of_an_older_version_is_completed(tmp_path: Path) -> None:
    """It has the names in each receipt."""
    found = record_stands(tmp_path)
    entries = [
        {"name": staging.name, "done": {**vars(entry), "receipt": vars(entry.receipt)}} for staging, entry in found
    ]
    found[0][0].commit.write_bytes(journal.encode({"v": 1, "files": entries}))
    assert roll_by_install(tmp_path) == NAMES
    assert_installed(tmp_path)


@pytest.mark.parametrize("targets", [None, NAMES[:1], NAMES[1:]])
@pytest.mark.parametrize(("renamed", "settled"), CRASHES)
def test_the_next_clean_completes_a_set(tmp_path: Path, renamed: int, settled: int, targets: list[str] | None) -> None:
    """Before it removes anything, also when it was limited to one of the files."""
    record_stands(tmp_path, renamed, settled)
    heard = list[Event]()
    clean(tmp_path, targets, False, CancelToken(), heard.append)
    assert [event.name for event in heard if isinstance(event, RolledForward)] == NAMES
    assert_installed(tmp_path)


def test_older_files_stand_until_the_record_does(tmp_path: Path) -> None:
    """Then all are replaced, whatever crashes."""
    for _, name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("older")
    ready(tmp_path)
    assert [(tmp_path / name).read_text() for name in NAMES] == ["older"] * 2
    record_stands(tmp_path, renamed=1)
    assert (tmp_path / NAMES[1]).read_text() == "older"
    roll_by_install(tmp_path)
    assert_installed(tmp_path)


def test_without_a_record_nothing_is_rolled_forward(tmp_path: Path) -> None:
    """Although the journals mention one: the parts are resumed or cleaned."""
    ready(tmp_path)
    clean(tmp_path, None, False, CancelToken(), lambda _event: None)
    assert not any((tmp_path / name).exists() for name in NAMES)
    assert not (tmp_path / ".luci").exists()


def test_parts_without_a_record_are_resumed(tmp_path: Path) -> None:
    """All their bytes are verified."""
    ready(tmp_path)
    with Transaction(tmp_path, [artifact_of(*file) for file in FILES], options=OPTIONS) as transaction:
        parts = [transaction.open(artifact_of(*file)) for file in FILES]
        assert [part.claim() for part in parts] == [None, None]
        transaction.commit()
    assert_installed(tmp_path)


def test_the_same_bytes_with_another_inode_are_accepted(tmp_path: Path) -> None:
    """Restored from a backup, for example; they are read again."""
    for staging, _ in record_stands(tmp_path, renamed=1):
        for path in (staging.part, staging.target):
            if path.exists():
                shutil.copy2(path, path.with_name("copy"))
                path.with_name("copy").rename(path)
    assert roll_by_install(tmp_path) == NAMES
    assert_installed(tmp_path)


@pytest.mark.parametrize("harm", ["gone", "shorter", "other bytes"])
def test_a_record_that_can_never_succeed_is_given_up(tmp_path: Path, harm: str) -> None:
    """The next install starts over; the old files stay until then."""
    (tmp_path / "a.gguf").write_text("older")
    staging, _ = record_stands(tmp_path)[1]
    staging.part.unlink()
    if harm != "gone":
        staging.part.write_bytes(FILES[1][0][:-1] + (b"" if harm == "shorter" else b"!"))
    assert (
        commit.complete(tmp_path, staging_for(tmp_path, NAMES[0]).commit, 0, CancelToken(), lambda _event: None) is None
    )
    assert (tmp_path / "a.gguf").read_text() == "older"
    assert not staging_for(tmp_path, NAMES[0]).commit.exists()
    install(tmp_path, *FILES)
    assert_installed(tmp_path)


def test_reading_a_restored_part_can_be_interrupted(tmp_path: Path) -> None:
    """Record and parts stay, the locks are free."""
    staging, _ = record_stands(tmp_path)[0]
    shutil.copy2(staging.part, tmp_path / "copy")
    (tmp_path / "copy").rename(staging.part)
    before, token = staged(tmp_path), CancelToken()
    token.cancel()
    with pytest.raises(Interrupted):
        commit.roll_forward(staging.commit, [(staging_for(tmp_path, n), d) for n, d in read(staging)], token, ignore)
    assert staged(tmp_path) == before
    assert all(is_free(tmp_path, name) for name in NAMES)


def read(staging: Staging) -> commit.Files:
    files = commit.read_record(staging.commit)
    assert files
    return files


def test_an_obstacle_to_a_rename_is_reported_and_nothing_is_lost(tmp_path: Path) -> None:
    """Record and parts stay until it is gone."""
    record_stands(tmp_path)
    before = staged(tmp_path)
    (tmp_path / "sub" / "b.gguf").mkdir(parents=True)
    with pytest.raises(StorageError, match="Is a directory"):
        roll_by_install(tmp_path)
    heard = list[Event]()
    clean(tmp_path, None, False, CancelToken(), heard.append)
    assert any(isinstance(event, LeftAlone) and "Is a directory" in event.reason for event in heard)
    assert set(staged(tmp_path)) == set(before) - {"a.gguf.part"}
    assert all(is_free(tmp_path, name) for name in NAMES)
    (tmp_path / "sub" / "b.gguf").rmdir()
    assert roll_by_install(tmp_path) == NAMES
    assert_installed(tmp_path)


def test_a_record_of_another_format_is_left_alone_and_said(tmp_path: Path) -> None:
    """By install and by clean, with all its parts."""
    staging, _ = record_stands(tmp_path)[0]
    staging.commit.write_bytes(journal.encode({"v": 2}))
    before = staged(tmp_path)
    with pytest.raises(StorageError, match="has format 2"):
        roll_by_install(tmp_path)
    heard = list[Event]()
    clean(tmp_path, None, False, CancelToken(), heard.append)
    assert any(isinstance(event, LeftAlone) and "has format 2" in event.reason for event in heard)
    assert staged(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"torn",
        journal.encode({"v": 1}),
        journal.encode({"v": 1, "files": [{"name": "../x.gguf", "done": {}}]}),
        journal.encode({"v": 1, "files": [{"name": "a.gguf", "done": {"size": 1}}]}),
        journal.encode({"v": 1, "files": [5]}),
    ],
)
def test_a_record_that_makes_no_sense_is_none(tmp_path: Path, text: bytes) -> None:
    """It does not stop an install, and clean removes it."""
    staging, _ = ready(tmp_path)[0]
    staging.commit.write_bytes(text)
    install(tmp_path, *FILES)
    assert_installed(tmp_path)
    staging.commit.write_bytes(text)
    clean(tmp_path, None, False, CancelToken(), lambda _event: None)
    assert_installed(tmp_path)


def test_a_record_that_changed_while_its_locks_were_waited_for_is_not_touched(tmp_path: Path) -> None:
    """It may now name files whose locks are not held."""
    found = record_stands(tmp_path)
    path, waiting, ends = found[0][0].commit, threading.Event(), list[list[str] | None]()

    def wait() -> None:
        ends.append(commit.complete(tmp_path, path, None, CancelToken(), lambda _event: waiting.set()))

    thread = threading.Thread(target=wait)
    with held(tmp_path, NAMES[1]):
        thread.start()
        assert waiting.wait(10)
        commit.write_record(path, found[:1])
    thread.join(10)
    assert ends == [[]]
    assert path.exists()
    assert not (tmp_path / NAMES[0]).exists()


def test_a_record_that_cannot_be_synced_does_not_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install that was reported as failed must not be rolled forward."""
    found = ready(tmp_path)

    def fail(path: Path) -> None:
        with fs.storage_errors("sync the folder", path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fs, "sync_folder", fail)
    with pytest.raises(StorageError, match="Input/output error"):
        commit.write_record(found[0][0].commit, found)
    assert [name for name in staged(tmp_path) if "commit" in name] == []


# --- one file alone


@pytest.mark.parametrize("settled", [False, True])
def test_a_single_file_is_completed_by_its_journal(tmp_path: Path, settled: bool) -> None:
    """Renamed, but no receipt yet; or a receipt, but the journal still there."""
    data = FILES[0][0]
    ((staging, done),) = ready(tmp_path, FILES[:1])
    fs.rename(staging.part, staging.target)
    if settled:
        receipt.write(staging.receipt, done.receipt)
    assert roll_by_install(tmp_path, NAMES[:1]) == NAMES[:1]
    assert staging.target.read_bytes() == data
    assert staged(tmp_path) == RECEIPTS[:1]


@pytest.mark.parametrize("is_right", [True, False])
def test_a_file_that_was_touched_before_its_receipt_is_read_again(tmp_path: Path, is_right: bool) -> None:
    """Its inode and its size alone do not prove its bytes."""
    ((staging, _),) = ready(tmp_path, FILES[:1])
    fs.rename(staging.part, staging.target)
    with staging.target.open("r+b") as file:
        file.write(b"GGUF" if is_right else b"wrong")
    os.utime(staging.target, (1, 1))
    artifact = artifact_of(*FILES[0])
    with Transaction(tmp_path, [artifact], options=OPTIONS) as transaction:
        assert transaction.look(artifact).state == ("installed" if is_right else "foreign")


def test_another_file_at_the_target_is_not_taken_for_the_renamed_part(tmp_path: Path) -> None:
    """It has another inode, so it is examined like any file without a receipt."""
    ((staging, _),) = ready(tmp_path, FILES[:1])
    staging.part.unlink()
    staging.target.write_bytes(FILES[0][0][:-1] + b"!")
    artifact = artifact_of(*FILES[0])
    with Transaction(tmp_path, [artifact], options=OPTIONS) as transaction:
        assert transaction.look(artifact).state == "foreign"


def test_a_hostile_journal_leads_to_no_file_outside_the_folder(tmp_path: Path) -> None:
    """It is read as if it ended before that line."""
    models, victim = tmp_path / "models", tmp_path / "victim"
    victim.write_text("mine")
    ((staging, done),) = ready(models, [(FILES[0][0], NAME)])
    with staging.journal.open("ab") as file:
        file.write(journal.encode({"done": {**asdict(done), "record": "../victim"}}))
    assert not commit.records_of(models, [staging])
    clean(models, None, False, CancelToken(), lambda _event: None)
    assert victim.read_text() == "mine"


def test_threads_of_the_commit_end(tmp_path: Path) -> None:
    """No thread is left in the process."""
    before = set(threading.enumerate())
    install(tmp_path, *FILES)
    wait_until(lambda: set(threading.enumerate()) <= before)
