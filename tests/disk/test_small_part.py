"""A small file is collected in memory; it is on disk, all of it, when it is verified or kept."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs, journal, receipt, small_part
from luci_dl.disk.layout import Staging, staging_for
from luci_dl.disk.part import Part
from luci_dl.disk.small_part import SmallPart
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import IntegrityError, Interrupted, NetworkError, NoRoom, StorageError
from luci_dl.events import Deleted, Event, Kept, RolledForward
from luci_dl.model import Artifact, Digest
from luci_dl.plan import Options
from tests.disk.hands import KIB, NAME, OPTIONS, artifact_of, assert_ends, install, is_free, kill_after, pour, staged
from tests.disk.steps import DATA, KEEP, RECEIPT, STAY, WRONG, Step, fail, finish, half, run, whole
from tests.servers.hub import blob_sha1

pytestmark = pytest.mark.usefixtures("small_files")

SET = [(DATA, "sub/a.gguf"), (DATA[: 40 * KIB], "sub/b.gguf")]


def opened(folder: Path, options: Options = OPTIONS, artifact: Artifact | None = None) -> int:
    """How many bytes a transaction finds in the part."""
    wanted = artifact or artifact_of(DATA)
    with Transaction(folder, [wanted], options=options) as transaction:
        part = transaction.open(wanted)
        assert isinstance(part, SmallPart)
        return part.received


def test_files_below_a_mebibyte_are_small(tmp_path: Path) -> None:
    """Of which the size is known before a server is asked."""
    sizes = {"a": 0, "b": small_part.SMALL - 1, "c": small_part.SMALL, "d": None}
    artifacts = {name: Artifact(name, (f"https://example.com/{name}",), size) for name, size in sizes.items()}
    with Transaction(tmp_path, list(artifacts.values()), options=OPTIONS) as transaction:
        kinds = [type(transaction.open(artifact)) for artifact in artifacts.values()]
    assert kinds == [SmallPart, SmallPart, Part, Part]


def test_it_takes_no_thread_and_no_file_until_all_is_there(tmp_path: Path) -> None:
    """And no journal at all."""
    with Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS) as transaction:
        before = set(threading.enumerate())
        part = transaction.open(artifact_of(DATA))
        pour(part, DATA)
        assert staged(tmp_path) == []
        part.verify(CancelToken())
        assert set(threading.enumerate()) <= before
        assert staged(tmp_path) == [f"{NAME}.part"]
        assert part.staging.part.read_bytes() == DATA
        transaction.commit()
    assert (tmp_path / NAME).read_bytes() == DATA
    assert staged(tmp_path) == [RECEIPT]
    assert is_free(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 4 * KIB])
def test_any_size_is_installed(tmp_path: Path, size: int) -> None:
    install(tmp_path, (bytes(size), "zeros.bin"))
    assert (tmp_path / "zeros.bin").read_bytes() == bytes(size)
    assert staged(tmp_path) == ["zeros.bin.receipt"]


def test_wrong_bytes_leave_nothing(tmp_path: Path) -> None:
    """They are never at the target, and the next install starts over."""

    def act() -> None:
        with Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS) as transaction:
            pour(transaction.open(artifact_of(DATA)), WRONG)
            transaction.commit()

    assert_ends(tmp_path, IntegrityError, act, [])
    assert not (tmp_path / NAME).exists()
    assert opened(tmp_path) == 0


def test_wrong_bytes_can_be_fetched_again(tmp_path: Path) -> None:
    """Within one transaction."""
    with Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS) as transaction:
        part = transaction.open(artifact_of(DATA))
        pour(part, WRONG)
        with pytest.raises(IntegrityError):
            part.verify(CancelToken())
        part.forget()
        assert part.received == 0
        pour(part, DATA)
        transaction.commit()
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_digest_that_the_sha256_does_not_give_is_checked(tmp_path: Path) -> None:
    """That of a file of a repository that is not in LFS."""
    wanted = Artifact(NAME, ("https://example.com/m",), len(DATA), digests={Digest.GIT_BLOB: blob_sha1(DATA)})

    def act(data: bytes) -> None:
        with Transaction(tmp_path, [wanted], options=OPTIONS) as transaction:
            pour(transaction.open(wanted), data)
            transaction.commit()

    assert_ends(tmp_path, IntegrityError, lambda: act(WRONG), [])
    act(DATA)
    assert (tmp_path / NAME).read_bytes() == DATA


@pytest.mark.parametrize(("step", "size"), [(half, 32 * KIB), (whole, len(DATA))])
def test_what_is_kept_is_resumed(tmp_path: Path, step: Step, size: int) -> None:
    """It is written when the transaction ends, with a journal that proves it."""
    transactions = list[Transaction]()

    def act() -> None:
        with Transaction(tmp_path, [artifact_of(DATA)], options=KEEP) as transaction:
            transactions.append(transaction)
            step(transaction)
            raise Interrupted

    assert_ends(tmp_path, Interrupted, act, STAY)
    assert transactions[0].endings == [Kept(NAME, size, len(DATA))]
    assert opened(tmp_path, KEEP) == size


def test_what_is_verified_is_kept_after_a_lost_network(tmp_path: Path) -> None:
    """Of a model of many files only what is missing is fetched again."""
    artifacts = [artifact_of(data, name) for data, name in SET]

    def act() -> None:
        with Transaction(tmp_path, artifacts, options=OPTIONS) as transaction:
            parts = [transaction.open(artifact) for artifact in artifacts]
            pour(parts[0], SET[0][0])
            parts[0].verify(CancelToken())
            raise NetworkError("down")

    with pytest.raises(NetworkError):
        act()
    assert staged(tmp_path) == ["sub/a.gguf.journal", "sub/a.gguf.part"]
    assert all(is_free(tmp_path, name) for _, name in SET)
    with Transaction(tmp_path, artifacts, options=OPTIONS) as transaction:
        parts = [transaction.open(artifact) for artifact in artifacts]
        assert [part.received for part in parts] == [len(SET[0][0]), 0]
        pour(parts[1], SET[1][0])
        transaction.commit()
    assert [(tmp_path / name).read_bytes() for _, name in SET] == [data for data, _ in SET]


def test_a_part_of_an_earlier_luci_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a journal that was written while it was fetched."""
    monkeypatch.setattr(small_part, "SMALL", 0)
    kill_after(tmp_path, DATA, 32 * KIB)
    monkeypatch.setattr(small_part, "SMALL", 1 << 20)
    with Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS) as transaction:
        part = transaction.open(artifact_of(DATA))
        assert part.received == 32 * KIB
        assert staged(tmp_path) == []
        pour(part, DATA)
        transaction.commit()
    assert (tmp_path / NAME).read_bytes() == DATA


def test_kept_bytes_that_changed_do_not_count(tmp_path: Path) -> None:
    """Nor do those of a part without a journal, which a crash left."""
    with pytest.raises(Interrupted):
        run(tmp_path, half, fail(Interrupted()), options=KEEP)
    part = staging_for(tmp_path, NAME).part
    part.write_bytes(b"!" + part.read_bytes()[1:])
    assert opened(tmp_path) == 0
    part.write_bytes(DATA)
    assert opened(tmp_path) == 0
    assert staged(tmp_path) == []


def test_where_there_is_no_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the small files before it need is counted, too."""
    free = os.statvfs(tmp_path)
    available = free.f_bavail * free.f_frsize
    artifacts = [artifact_of(data, name) for data, name in SET]
    options = Options(min_free=available - len(SET[0][0]) - KIB)
    monkeypatch.setattr(os, "statvfs", lambda _path: free)

    def act() -> None:
        with Transaction(tmp_path, artifacts, options=options) as transaction:
            transaction.open(artifacts[0])
            transaction.open(artifacts[1])

    with pytest.raises(NoRoom, match=r"no room for sub/b\.gguf|no room for b\.gguf"):
        act()
    assert staged(tmp_path) == []
    assert all(is_free(tmp_path, name) for _, name in SET)


def test_a_sync_that_fails_ends_the_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again, and nothing is left."""

    def refuse(file: fs.File) -> None:
        raise StorageError(f"cannot sync {file.path}")

    monkeypatch.setattr(fs, "sync_data", refuse)
    assert_ends(tmp_path, StorageError, lambda: run(tmp_path, whole, finish), [])
    assert not (tmp_path / NAME).exists()


# --- the commit


class _Crash(BaseException):
    pass


def crash(folder: Path, monkeypatch: pytest.MonkeyPatch, files: list[tuple[bytes, str]], renames: int) -> None:
    """Leave what a crash leaves after the record and that many renames."""

    def die(staged: list[tuple[Staging, journal.CommitEntry]]) -> None:
        rename_all(staged[:renames])
        raise _Crash

    rename_all = commit.rename_all
    monkeypatch.setattr(commit, "rename_all", die)
    with pytest.raises(_Crash):
        install(folder, *files)
    monkeypatch.undo()
    monkeypatch.setattr(small_part, "SMALL", 1 << 20)


@pytest.mark.parametrize("files", [SET[:1], SET])
@pytest.mark.parametrize("renames", [0, 1])
@pytest.mark.parametrize("wanted", [0, -1])
def test_a_crash_after_the_record_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[tuple[bytes, str]], renames: int, wanted: int
) -> None:
    """The next install completes all of it, also if it wants one of the files alone, and has a record itself."""
    crash(tmp_path, monkeypatch, files, renames)
    heard, artifact = list[Event](), artifact_of(*files[wanted])
    with Transaction(tmp_path, [artifact], options=OPTIONS, emit=heard.append) as transaction:
        assert transaction.look(artifact).state == "installed"
    assert [event.name for event in heard if isinstance(event, RolledForward)] == [name for _, name in files]
    assert [(tmp_path / name).read_bytes() for _, name in files] == [data for data, _ in files]
    assert all(receipt.read(staging_for(tmp_path, name).receipt) for _, name in files)
    assert staged(tmp_path) == [f"{name}.receipt" for _, name in files]
    assert all(is_free(tmp_path, name) for _, name in files)


def test_nothing_is_said_to_be_deleted_that_was_not_there(tmp_path: Path) -> None:
    """But a verified part was."""
    with pytest.raises(Interrupted):
        run(tmp_path, half, fail(Interrupted()))
    transaction = Transaction(tmp_path, [artifact_of(DATA)], options=OPTIONS)

    def act() -> None:
        with transaction:
            part = transaction.open(artifact_of(DATA))
            pour(part, DATA)
            part.verify(CancelToken())
            raise Interrupted

    assert_ends(tmp_path, Interrupted, act, [])
    assert transaction.endings == [Deleted(NAME)]
