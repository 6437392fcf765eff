"""Removing a model: all of it or nothing, under its locks, in an order that survives a crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luci_dl.api import remove as api
from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, place, receipt
from luci_dl.disk.layout import staging_for
from luci_dl.disk.locks import Locks
from luci_dl.errors import CannotHold, Interrupted, LockedError, ResolveError, StorageError
from luci_dl.events import Event, LeftAlone, Removed, Warned
from luci_dl.library.installed import installed
from luci_dl.library.remove import check_idle, plan_removal, remove
from tests.disk.hands import KIB, artifact_of, attribute, gguf, held, install, is_free, kill_after
from tests.procs import files_left

DATA, OTHER = gguf(64 * KIB), gguf(48 * KIB, seed=1)


def removed(folder: Path, reference: str) -> list[Event]:
    events = list[Event]()
    remove(plan_removal(folder, reference), CancelToken(), events.append)
    return events


def left(folder: Path) -> list[str]:
    return [name for name in files_left(folder) if not name.endswith(".lock")]


def test_all_of_it_is_removed(tmp_path: Path) -> None:
    """Files, receipts, the part of a newer version, and the folders that were made for it."""
    install(tmp_path, (DATA, "owner/repo/a.gguf"), (OTHER, "owner/repo/b.gguf"))
    install(tmp_path, (OTHER, "other.gguf"))
    kill_after(tmp_path, OTHER, 32 * KIB, "owner/repo/a.gguf")
    (events,) = removed(tmp_path, "owner/repo/a.gguf")
    assert isinstance(events, Removed)
    assert events.paths == (str(tmp_path / "owner/repo/a.gguf"), str(tmp_path / "owner/repo/b.gguf"))
    assert events.freed >= len(DATA) + len(OTHER)
    assert left(tmp_path) == [
        ".luci/", ".luci/other.gguf.receipt", ".luci/owner/", ".luci/owner/repo/", "other.gguf",
    ]  # fmt: skip
    assert is_free(tmp_path, "owner/repo/a.gguf")
    with pytest.raises(ResolveError):
        plan_removal(tmp_path, "owner/repo/a.gguf")


def test_folders_with_other_files_stay(tmp_path: Path) -> None:
    install(tmp_path, (DATA, "owner/repo/a.gguf"))
    (tmp_path / "owner" / "notes.txt").write_text("mine")
    removed(tmp_path, "owner/repo/a.gguf")
    assert [name for name in left(tmp_path) if not name.startswith(".luci/")] == ["owner/", "owner/notes.txt"]


@pytest.mark.parametrize("last", ["one.gguf", "two.gguf"])
def test_a_file_that_another_model_needs_stays_with_it(tmp_path: Path, last: str) -> None:
    """Whichever of the two models its receipt names."""
    for first in sorted(("one.gguf", "two.gguf"), key=lambda name: name == last):
        install(tmp_path, (DATA, first), (OTHER, "proj.gguf"))
        known = receipt.read(staging_for(tmp_path, first).receipt)
        assert known
    events = removed(tmp_path, "one.gguf")
    assert [event.path for event in events if isinstance(event, LeftAlone)] == [str(tmp_path / "proj.gguf")]
    (model,) = installed([tmp_path])
    assert (model.reference, model.names, model.state) == ("two.gguf", ("two.gguf", "proj.gguf"), "ok")
    removed(tmp_path, "two.gguf")
    assert left(tmp_path) == [".luci/"]


def test_a_changed_file_is_reported(tmp_path: Path) -> None:
    """And removed, as the user asked."""
    install(tmp_path, (DATA, "a.gguf"))
    (tmp_path / "a.gguf").write_text("mine")
    warning, _ = removed(tmp_path, "a.gguf")
    assert warning == Warned(f"{tmp_path / 'a.gguf'} has changed since luci installed it")
    assert left(tmp_path) == [".luci/"]


def test_a_file_without_receipt_stays(tmp_path: Path) -> None:
    """luci may not have put it there."""
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "b.gguf"))
    staging_for(tmp_path, "b.gguf").receipt.unlink()
    events = removed(tmp_path, "a.gguf")
    assert [event.path for event in events if isinstance(event, LeftAlone)] == [str(tmp_path / "b.gguf")]
    assert left(tmp_path) == [".luci/", "b.gguf"]


def test_a_file_that_was_deleted_is_not_said_to_be_removed(tmp_path: Path) -> None:
    """Its receipt goes all the same."""
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "b.gguf"))
    (tmp_path / "b.gguf").unlink()
    (event,) = removed(tmp_path, "a.gguf")
    assert isinstance(event, Removed)
    assert event.paths == (str(tmp_path / "a.gguf"),)
    assert left(tmp_path) == [".luci/"]


def test_a_symlink_is_removed_and_its_target_stays(tmp_path: Path) -> None:
    """A user may keep a large file elsewhere."""
    install(tmp_path / "models", (DATA, "a.gguf"))
    target = (tmp_path / "models" / "a.gguf").rename(tmp_path / "elsewhere")
    (tmp_path / "models" / "a.gguf").symlink_to(target)
    removed(tmp_path / "models", "a.gguf")
    assert left(tmp_path / "models") == [".luci/"]
    assert target.read_bytes() == DATA


def test_nothing_is_removed_while_one_of_its_files_is_in_use(tmp_path: Path) -> None:
    """Not even the other file; the message names the process."""
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "b.gguf"))
    before, plan = left(tmp_path), plan_removal(tmp_path, "a.gguf")
    with held(tmp_path, "b.gguf"), pytest.raises(LockedError):
        remove(plan, CancelToken(), lambda _: None)
    locks = Locks([(staging_for(tmp_path, "b.gguf"), artifact_of(OTHER, "b.gguf"))], "model")
    locks.acquire(None, CancelToken(), lambda _: None)
    with pytest.raises(LockedError, match=r"a\.gguf is in use by pid .* \(luci install model\)"):
        check_idle(plan)
    locks.release("rolled back")
    check_idle(plan)
    assert left(tmp_path) == before
    assert is_free(tmp_path, "a.gguf")


def test_another_process_learns_that_it_is_being_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An install that does not want to wait, say."""
    install(tmp_path, (DATA, "a.gguf"))
    real, errors = fs.unlink, list[str]()

    def unlink(path: Path) -> bool:
        if path == tmp_path / "a.gguf":
            with pytest.raises(LockedError) as caught:
                remove(plan_removal(tmp_path, "a.gguf"), CancelToken(), lambda _: None)
            errors.append(caught.value.message)
        return real(path)

    monkeypatch.setattr(fs, "unlink", unlink)
    removed(tmp_path, "a.gguf")
    assert errors
    assert "a.gguf is being removed by pid" in errors[0]
    assert "(luci remove a.gguf)" in errors[0]


def test_a_crash_anywhere_leaves_a_model_that_can_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each change to the disk: the next removal completes it, and no file is ever without a receipt."""
    real = {name: getattr(fs, name) for name in ("unlink", "write_file", "sync_folder", "remove_empty")}
    point = 0
    while True:
        folder = tmp_path / str(point)
        install(folder, (DATA, "x/a.gguf"), (OTHER, "x/b.gguf"), (DATA, "x/c.gguf"))
        steps = iter(range(point))

        def crash(name: str, *args: object, steps: object = steps) -> object:
            if next(steps, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            return real[name](*args)

        for name in real:
            monkeypatch.setattr(fs, name, lambda *args, name=name: crash(name, *args))
        try:
            removed(folder, "x/a.gguf")
            break
        except KeyboardInterrupt:
            pass
        finally:
            monkeypatch.undo()
        there = {name for name in ("x/a.gguf", "x/b.gguf", "x/c.gguf") if (folder / name).exists()}
        receipts = {name for name in ("x/a.gguf", "x/b.gguf", "x/c.gguf") if staging_for(folder, name).receipt.exists()}
        assert there <= receipts
        if receipts:
            removed(folder, "x/a.gguf")
        assert left(folder) == [".luci/", ".luci/x/"]
        point += 1
    assert point > 6


def test_a_set_that_a_crash_interrupted_is_completed_first(tmp_path: Path) -> None:
    """Otherwise its commit record would bring it back."""
    from tests.library.test_clean import set_that_crashed

    set_that_crashed(tmp_path)
    (tmp_path / "a.gguf").parent.mkdir(exist_ok=True)
    first = staging_for(tmp_path, "a.gguf")
    fs.rename(first.part, first.target)
    data = first.target
    known = receipt.Receipt(
        "a.gguf", "m", ("a.gguf", "b.gguf"), "model", "", "0" * 64, "none", 1, data.stat().st_mtime_ns, "then", "then"
    )
    receipt.write(first.receipt, known)
    removed(tmp_path, "m")
    assert left(tmp_path) == [".luci/"]


def test_an_interrupt_before_the_first_file_removes_nothing(tmp_path: Path) -> None:
    install(tmp_path, (DATA, "a.gguf"))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Interrupted):
        remove(plan_removal(tmp_path, "a.gguf"), token, lambda _: None)
    assert installed([tmp_path])[0].state == "ok"
    assert is_free(tmp_path, "a.gguf")


def test_a_folder_that_is_not_writable_is_an_error_before_anything_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files stay, also those that could have been removed."""
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "sub/b.gguf"))

    def refuse(folder: Path) -> None:
        if folder.name == "sub":
            raise StorageError(f"cannot write into {folder}: Permission denied")

    monkeypatch.setattr(fs, "check_writable", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        removed(tmp_path, "a.gguf")
    assert installed([tmp_path])[0].state == "ok"
    assert is_free(tmp_path, "a.gguf")


@pytest.mark.parametrize("letter", ["i", "a"])
@pytest.mark.parametrize("where", ["target", "receipt", "folder of the receipt"])
def test_what_not_even_root_may_delete_is_an_error_before_anything_is_removed(
    tmp_path: Path, letter: str, where: str
) -> None:
    """The files before it stay, too, and the message names the attribute."""
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "sub/b.gguf"))
    staging = staging_for(tmp_path, "sub/b.gguf")
    path = staging.receipt.parent if where == "folder of the receipt" else getattr(staging, where)
    with attribute(letter, path):
        with pytest.raises(CannotHold, match=f"cannot (delete|write into) {path}: it is ") as caught:
            removed(tmp_path, "a.gguf")
        with pytest.raises(CannotHold):
            api.remove("a.gguf", folder=tmp_path, dry_run=True)
        assert installed([tmp_path])[0].state == "ok"
        assert is_free(tmp_path, "a.gguf")
    assert f"chattr -{letter}" in caught.value.hint
    removed(tmp_path, "a.gguf")
    assert installed([tmp_path]) == []


def test_a_file_of_somebody_else_in_a_sticky_folder_is_an_error_before_anything_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the owner, whom to ask."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    install(tmp_path, (DATA, "a.gguf"), (OTHER, "sub/b.gguf"))
    (tmp_path / "sub").chmod(0o1777)
    os.chown(tmp_path / "sub", 40_001, -1)
    os.chown(tmp_path / "sub/b.gguf", 40_002, -1)
    monkeypatch.setattr(place, "_may_act_for_owners", lambda: False)
    with pytest.raises(CannotHold, match=r"belongs to user 40002, and .* lets only the owner of a file delete it"):
        removed(tmp_path, "a.gguf")
    assert installed([tmp_path])[0].state == "ok"
    assert is_free(tmp_path, "a.gguf")
