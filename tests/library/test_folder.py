"""ModelsFolder finds every staging file by its kind, whatever else is in the folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import layout, lock_reliability
from luci_dl.disk.layout import staging_folder, staging_for
from luci_dl.disk.lock_reliability import Owner
from luci_dl.disk.locks import Locks
from luci_dl.errors import StorageError
from luci_dl.events import Event, LeftAlone
from luci_dl.library.clean import clean
from luci_dl.library.folder import ModelsFolder
from luci_dl.library.installed import installed
from luci_dl.library.partials import partials
from luci_dl.names import STAGING_SUFFIXES
from tests.disk.hands import KIB, artifact_of, gguf, held, install, kill_after
from tests.library.test_clean import set_that_crashed
from tests.procs import files_left

DATA = gguf(64 * KIB)


def refuse_to_read(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have the system refuse to list that folder, and no other."""
    real = os.scandir

    def scandir(path: object) -> object:
        if path == folder:
            raise PermissionError(13, "Permission denied")
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr("os.scandir", scandir)


def test_each_kind_of_file_is_found(tmp_path: Path) -> None:
    """In the folder and below, by what the files say."""
    install(tmp_path, (DATA, "sub/installed.gguf"))
    kill_after(tmp_path, DATA, 32 * KIB, "part.gguf")
    set_that_crashed(tmp_path)
    models = ModelsFolder(tmp_path)
    assert [known.name for known in models.receipts()] == ["sub/installed.gguf"]
    assert {(staging.name, log.header.size) for staging, log in models.journals()} == {
        (name, len(DATA) if name != "b.gguf" else 48 * KIB) for name in ("part.gguf", "a.gguf", "b.gguf")
    }
    assert [(path.name, names) for path, names in models.commit_records()] == [("a.gguf.commit", ("a.gguf", "b.gguf"))]
    assert {staging.name for staging in models.stagings()} == {"a.gguf", "b.gguf", "part.gguf", "sub/installed.gguf"}
    assert [path.relative_to(tmp_path).as_posix() for path in models.folders()] == [".luci/sub", ".luci"]


def test_a_lock_is_found_with_its_holder(tmp_path: Path) -> None:
    """Only while it is held, and only if the holder says who it is."""
    locks = Locks([(staging_for(tmp_path, "a.gguf"), artifact_of(DATA, "a.gguf"))], "a model")
    locks.acquire(None, CancelToken(), lambda _: None)
    with held(tmp_path, "silent.gguf"):
        (holder,) = ModelsFolder(tmp_path).holders()
        assert (holder.name, holder.pid, holder.command) == ("a.gguf", os.getpid(), "luci install a model")
    locks.release("installed")
    assert not list(ModelsFolder(tmp_path).holders())


def test_private_files_are_found_by_their_owner(tmp_path: Path) -> None:
    """They count neither as a target's staging nor as a part that can be resumed."""
    kill_after(tmp_path, DATA, 32 * KIB, "m.gguf")
    shared, mark = staging_for(tmp_path, "m.gguf"), lock_reliability.private_mark()
    private = shared.private(mark)
    shared.part.rename(private.part)
    shared.journal.rename(private.journal)
    private.new_receipt.write_text("torn")
    models = ModelsFolder(tmp_path)
    (files,) = models.private_files()
    assert (files.owner, files.name) == (Owner(lock_reliability.machine(), os.getpid()), "m.gguf")
    assert sorted(files.paths) == sorted([private.part, private.journal, private.new_receipt])
    assert not list(models.stagings())
    assert not list(models.journals())


def test_a_receipt_whose_name_looks_private_is_kept(tmp_path: Path) -> None:
    """A model may have any name."""
    install(tmp_path, (DATA, f"m{lock_reliability.private_mark()}"))
    (files,) = ModelsFolder(tmp_path).private_files()
    assert files.paths == ()
    assert len(installed([tmp_path])) == 1


@pytest.mark.parametrize("kind", ["symlink", "folder", "pipe", "garbage", "empty"])
def test_what_was_planted_is_passed_over(tmp_path: Path, kind: str) -> None:
    """Whatever the suffix; the files beside it are found."""
    install(tmp_path, (DATA, "good.gguf"))
    for suffix in STAGING_SUFFIXES:
        path = staging_folder(tmp_path) / f"bad.gguf{suffix}"
        if kind == "symlink":
            path.symlink_to("/dev/zero")
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.write_bytes(b"\xff\x00" if kind == "garbage" else b"")
    models = ModelsFolder(tmp_path)
    assert [known.name for known in models.receipts()] == ["good.gguf"]
    assert (list(models.journals()), list(models.commit_records()), list(models.private_files())) == ([], [], [])
    assert not list(models.holders())
    assert {models.name_of(staging) for staging in models.stagings()} == {"good.gguf", "bad.gguf"}


def test_a_symlink_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    """What is behind it belongs to others; a link to the folder above would have no end."""
    install(tmp_path / "models", (DATA, "a.gguf"))
    kill_after(tmp_path / "other", DATA, 32 * KIB, "b.gguf")
    staging = staging_folder(tmp_path / "models")
    (staging / "away").symlink_to(staging_folder(tmp_path / "other"))
    (staging / "loop").symlink_to(staging)
    models = ModelsFolder(tmp_path / "models")
    assert [staging.name for staging in models.stagings()] == ["a.gguf"]
    assert models.folders() == [staging]


def test_a_tree_of_any_depth_is_read(tmp_path: Path) -> None:
    """Also deeper than calls can be nested."""
    path, depth = staging_folder(tmp_path), sys.getrecursionlimit() + 10
    path.mkdir()
    for _ in range(depth):
        path /= "d"
        path.mkdir()
    (path / "m.gguf.part").touch()
    assert len(ModelsFolder(tmp_path).folders()) == depth + 1
    assert len(list(ModelsFolder(tmp_path).stagings())) == 1
    clean(tmp_path, None, False, CancelToken(), lambda _: None)
    assert files_left(tmp_path) == []


def test_a_folder_that_cannot_be_read_is_reported_once_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models of other folders do not depend on it."""
    install(tmp_path, (DATA, "a/one.gguf"))
    install(tmp_path, (DATA, "b/two.gguf"))
    refuse_to_read(monkeypatch, staging_folder(tmp_path) / "a")
    errors: dict[Path, str] = {}
    models = ModelsFolder(tmp_path, lambda path, error: errors.update({path: error.message}))
    assert [known.name for known in models.receipts()] == ["b/two.gguf"]
    assert [staging.name for staging in models.stagings()] == ["b/two.gguf"]
    path = staging_folder(tmp_path) / "a"
    assert errors == {path: f"cannot read {path}: Permission denied"}
    kill_after(tmp_path, DATA, 32 * KIB, "b/part.gguf")
    assert [model.names for model in installed([tmp_path])] == [("b/two.gguf",)]
    assert [partial.name for partial in partials([tmp_path])] == ["b/part.gguf"]


def test_clean_reports_a_folder_that_cannot_be_read_and_cleans_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as a failure; the whole staging that cannot be read is an error."""
    for name in ("a/one.gguf", "b/two.gguf"):
        kill_after(tmp_path, DATA, 32 * KIB, name)
    with monkeypatch.context() as patch:
        path = staging_folder(tmp_path) / "a"
        refuse_to_read(patch, path)
        events = list[Event]()
        report = clean(tmp_path, None, False, CancelToken(), events.append)
        assert [event for event in events if isinstance(event, LeftAlone)] == [
            LeftAlone(str(path), f"cannot read {path}: Permission denied")
        ]
    assert (report.removed, report.left_alone, report.failed) == (2, 1, 1)
    assert files_left(staging_folder(tmp_path)) == ["a/", "a/one.gguf.journal", "a/one.gguf.part"]
    refuse_to_read(monkeypatch, staging_folder(tmp_path))
    with pytest.raises(StorageError, match="Permission denied"):
        clean(tmp_path, None, False, CancelToken(), events.append)


def test_only_one_module_knows_where_the_staging_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another name there, everything still finds everything."""
    monkeypatch.setattr(layout, "_FOLDER", ".staging")
    install(tmp_path, (DATA, "sub/a.gguf"))
    kill_after(tmp_path, DATA, 32 * KIB, "b.gguf")
    assert [model.reference for model in installed([tmp_path])] == ["sub/a.gguf"]
    assert [part.name for part in partials([tmp_path])] == ["b.gguf"]
    clean(tmp_path, None, False, CancelToken(), lambda _: None)
    assert files_left(tmp_path) == [
        ".staging/", ".staging/sub/", ".staging/sub/a.gguf.receipt", "sub/", "sub/a.gguf",
    ]  # fmt: skip
