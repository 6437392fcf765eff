"""clean: removes what no living process holds, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import commit, fs, journal, receipt
from luci_dl.disk.journal import CommitEntry
from luci_dl.disk.layout import staging_for
from luci_dl.disk.lock import Lock
from luci_dl.disk.receipt import Receipt
from luci_dl.errors import Interrupted, StorageError
from luci_dl.events import Cleaned, Event, LeftAlone, RolledForward
from luci_dl.library.clean import Report, clean, staged_names
from tests.disk.hands import KIB, NAME, artifact_of, gguf, held, install, is_free, kill_after, opened, part_at, pour
from tests.procs import files_left

DATA = gguf(64 * KIB)
OTHER = gguf(48 * KIB, seed=1)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with an orphan in it, whose lock file was written once, and an installed file."""
    folder = tmp_path / "models"
    kill_after(folder, DATA, 32 * KIB, "sub/orphan.gguf")
    staging_for(folder, "sub/orphan.gguf").lock.write_text("torn")
    install(folder, (OTHER, "installed.gguf"))
    return folder


def sweep(folder: Path, targets: Collection[str] | None = None, *, dry_run: bool = False) -> tuple[Report, list[Event]]:
    events = list[Event]()
    return clean(folder, targets, dry_run, CancelToken(), events.append), events


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below the folder: inode, size, mtime, bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        info = path.lstat()
        found[str(path)] = info.st_ino, info.st_size, info.st_mtime_ns, path.is_file() and path.read_bytes()
    return found


def cleaned(events: Collection[Event]) -> list[str]:
    return sorted(os.path.basename(event.path) for event in events if isinstance(event, Cleaned))


def test_leftovers_are_removed_and_what_is_installed_stays(models: Path) -> None:
    """Part, journal, idle lock files and empty folders; the receipt and its file are as they were."""
    part = staging_for(models, "sub/orphan.gguf").part
    blocks = part.stat().st_blocks * 512
    report, events = sweep(models)
    assert files_left(models) == [".luci/", ".luci/installed.gguf.receipt", "installed.gguf"]
    assert cleaned(events) == ["installed.gguf.lock", "orphan.gguf.journal", "orphan.gguf.lock", "orphan.gguf.part"]
    assert (report.removed, report.left_alone) == (4, 0)
    assert report.freed >= blocks
    assert report.freed == sum(event.freed for event in events if isinstance(event, Cleaned))
    assert sweep(models)[0] == Report(0, 0, 0)


def test_a_dry_run_reports_the_same_and_changes_nothing(models: Path) -> None:
    """Not a byte, not an mtime, not a folder."""
    before = snapshot(models)
    dry, events = sweep(models, dry_run=True)
    assert snapshot(models) == before
    assert all(event.dry_run for event in events if isinstance(event, Cleaned))
    real, real_events = sweep(models)
    assert dry == real
    assert cleaned(events) == cleaned(real_events)


def test_a_dry_run_makes_no_lock_file(tmp_path: Path) -> None:
    """Where there was none."""
    kill_after(tmp_path, DATA, 32 * KIB)
    before = snapshot(tmp_path)
    assert sweep(tmp_path, dry_run=True)[0].removed == 2
    assert snapshot(tmp_path) == before


def test_what_is_held_is_not_touched(models: Path) -> None:
    """The lock decides, not the age: the files are as old as files can be."""
    staging = staging_for(models, "sub/orphan.gguf")
    for path in (staging.part, staging.journal, staging.lock):
        os.utime(path, (1, 1))
    with held(models, "sub/orphan.gguf"):
        before = snapshot(staging.part.parent)
        for dry_run in (True, False):
            report, events = sweep(models, dry_run=dry_run)
            assert report.left_alone == 1
            assert [event.reason for event in events if isinstance(event, LeftAlone)] == ["held"]
            assert snapshot(staging.part.parent) == before
    assert sweep(models)[0].removed == 3


def test_files_that_luci_did_not_make_stay(models: Path) -> None:
    """Also inside .luci, also where their names look like ours but their kind does not."""
    staging = models / ".luci"
    (staging / "notes.txt").write_text("mine")
    (staging / "folder.part").mkdir()
    (staging / "folder.part" / "inner.txt").write_text("mine")
    (staging / "link.part").symlink_to(models / "installed.gguf")
    (staging / "away").symlink_to(models.parent)
    os.mkfifo(staging / "pipe.journal")
    (models / "download.part").write_text("a browser's")
    sweep(models)
    mine = ["away", "folder.part/", "folder.part/inner.txt", "link.part", "notes.txt", "pipe.journal"]
    ours = ["installed.gguf.receipt"]
    assert files_left(staging) == sorted([*mine, *ours])
    assert [name for name in files_left(models) if not name.startswith(".luci/")] == ["download.part", "installed.gguf"]


@pytest.mark.parametrize("suffix", [".journal", ".receipt", ".commit"])
def test_files_of_another_format_are_left_alone_and_reported(tmp_path: Path, suffix: str) -> None:
    """With all other staging files of the same target."""
    kill_after(tmp_path, DATA, 32 * KIB)
    staging = staging_for(tmp_path, NAME)
    path = staging.base.with_name(NAME + suffix)
    path.write_bytes(b'{"v": 3}' if suffix == ".receipt" else journal.encode({"v": 3}))
    before = snapshot(tmp_path)
    report, events = sweep(tmp_path)
    assert snapshot(tmp_path).keys() == before.keys()
    assert report.left_alone == 1
    assert [event for event in events if isinstance(event, LeftAlone) and "has format 3" in event.reason]
    assert is_free(tmp_path)


def test_receipts_without_a_file_are_removed(models: Path) -> None:
    """And damaged ones; those whose file has changed stay."""
    for name in ("gone.gguf", "torn.gguf", "changed.gguf"):
        install(models, (OTHER, name))
    (models / "gone.gguf").unlink()
    staging_for(models, "torn.gguf").receipt.write_text("torn")
    (models / "changed.gguf").write_text("changed")
    sweep(models)
    receipts = [name for name in files_left(models / ".luci") if name.endswith(".receipt")]
    assert receipts == ["changed.gguf.receipt", "installed.gguf.receipt"]
    assert (models / "torn.gguf").exists()


def test_what_a_crash_left_of_a_replacement_is_removed(models: Path) -> None:
    """The .new of a receipt or of a commit record."""
    for name in ("installed.gguf.receipt.new", "installed.gguf.commit.new", "lonely.gguf.commit.new"):
        (models / ".luci" / name).write_text("torn")
    sweep(models)
    assert files_left(models) == [".luci/", ".luci/installed.gguf.receipt", "installed.gguf"]


def test_names_limit_it(models: Path) -> None:
    """By the name of the target; the others stay as they are."""
    kill_after(models, DATA, 32 * KIB, "second.gguf")
    assert staged_names(models) == ["installed.gguf", "second.gguf", "sub/orphan.gguf"]
    sweep(models, ["second.gguf", "unknown.gguf"])
    assert staged_names(models) == ["installed.gguf", "sub/orphan.gguf"]
    sweep(models, [])
    assert staged_names(models) == ["installed.gguf", "sub/orphan.gguf"]


def test_a_long_name_is_known_by_its_journal(tmp_path: Path) -> None:
    """The names of its staging files end in a hash."""
    name = "x" * 250
    kill_after(tmp_path, DATA, 32 * KIB, name)
    assert staged_names(tmp_path) == [name]
    sweep(tmp_path, [name])
    assert files_left(tmp_path) == []


@pytest.mark.parametrize("make", [lambda _: None, lambda path: path.mkdir()])
def test_a_folder_without_staging_is_clean(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """One that is not there, one that is empty."""
    make(tmp_path / "models")
    before = files_left(tmp_path)
    assert sweep(tmp_path / "models")[0] == Report(0, 0, 0)
    assert files_left(tmp_path) == before


def test_a_file_in_place_of_a_models_folder_is_an_error(tmp_path: Path) -> None:
    """It stays, and nothing is said to be clean."""
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StorageError, match="Not a directory"):
        sweep(tmp_path / "models")
    assert files_left(tmp_path) == ["models"]


def test_a_staging_folder_that_leads_elsewhere_is_not_entered(tmp_path: Path) -> None:
    """The parts there may belong to others."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.part").write_text("mine")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ".luci").symlink_to(tmp_path / "elsewhere")
    assert sweep(tmp_path / "models")[0] == Report(0, 0, 0)
    assert (tmp_path / "elsewhere" / "x.part").exists()


def set_that_crashed(folder: Path) -> list[str]:
    """A set of two files whose commit record stands. Returns: their names."""
    files, staged = [(DATA, "a.gguf"), (OTHER, "b.gguf")], []
    for data, name in files:
        part = part_at(folder, artifact_of(data, name))
        opened(part)
        pour(part, data)
        digest, names = part.verify(CancelToken()), ("a.gguf", "b.gguf")
        known = Receipt(name, "m", names, "model", "", digest, "sha256", len(data), part.mtime_ns, "then", "then")
        staged.append((part.staging, CommitEntry(len(data), digest, part.inode, known, "a.gguf")))
        part.finish_journal(staged[-1][1])
        part.close()
    commit.write_record(staged[0][0].commit, staged)
    return [name for _, name in files]


def test_a_commit_record_is_rolled_forward_first(tmp_path: Path) -> None:
    """After that it has no leftovers."""
    names = set_that_crashed(tmp_path)
    report, events = sweep(tmp_path)
    assert [event.name for event in events if isinstance(event, RolledForward)] == names
    assert all(receipt.read(staging_for(tmp_path, name).receipt) for name in names)
    assert not [event for event in events if isinstance(event, Cleaned) and event.kind != "lock"]
    assert report.left_alone == 0


def test_a_record_whose_locks_are_held_stays_with_all_its_parts(tmp_path: Path) -> None:
    """Also the parts whose own locks are free."""
    names = set_that_crashed(tmp_path)
    for name in names:
        with held(tmp_path, name):
            before = {
                path: facts for path, facts in snapshot(tmp_path).items() if not path.endswith((".lock", ".luci"))
            }
            report, _ = sweep(tmp_path)
            assert report.left_alone >= 1
            after = snapshot(tmp_path)
            assert {path: after[path] for path in before} == before
    assert [event.name for event in sweep(tmp_path)[1] if isinstance(event, RolledForward)] == names


def test_a_dry_run_reports_what_would_be_rolled_forward(tmp_path: Path) -> None:
    """And does not do it."""
    names = set_that_crashed(tmp_path)
    before = snapshot(tmp_path)
    _, events = sweep(tmp_path, dry_run=True)
    assert [event.name for event in events if isinstance(event, RolledForward)] == names
    assert snapshot(tmp_path) == before


def test_a_file_that_cannot_be_deleted_is_reported_and_the_others_are_removed(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep goes on with the next target."""
    real = fs.unlink

    def refuse(path: Path) -> bool:
        if path.name == "installed.gguf.lock":
            raise StorageError(f"cannot delete {path}: Permission denied")
        return real(path)

    monkeypatch.setattr(fs, "unlink", refuse)
    report, events = sweep(models)
    assert [event.reason for event in events if isinstance(event, LeftAlone)] == [
        f"cannot delete {models}/.luci/installed.gguf.lock: Permission denied"
    ]
    assert report.left_alone == 1
    assert not staging_for(models, "sub/orphan.gguf").part.exists()
    assert is_free(models, "installed.gguf")


def test_it_is_interrupted_between_two_targets(models: Path) -> None:
    """And holds no lock then."""
    token = CancelToken()
    with pytest.raises(Interrupted):
        clean(models, None, False, token, lambda _event: token.cancel())
    assert is_free(models, "installed.gguf")
    assert is_free(models, "sub/orphan.gguf")
    assert sweep(models)[0].left_alone == 0


def test_clean_makes_no_lock_that_stays(tmp_path: Path) -> None:
    """Where it cannot clean and there was no lock file."""
    (tmp_path / ".luci" / "x.gguf.part").mkdir(parents=True)
    sweep(tmp_path)
    assert files_left(tmp_path) == [".luci/", ".luci/x.gguf.part/"]
    assert Lock(staging_for(tmp_path, "x.gguf").lock).try_acquire()
