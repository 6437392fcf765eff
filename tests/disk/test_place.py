"""Whether a finished file could be put at its target is known before the first byte."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.disk import filesystems, fs, place
from luci_dl.disk.filesystems import FileSystem
from luci_dl.disk.layout import staging_for
from luci_dl.disk.place import Places, rehearse
from luci_dl.disk.transaction import Transaction
from luci_dl.errors import CannotHold
from luci_dl.events import Cleaned, ignore
from luci_dl.library.clean import clean
from tests.disk.hands import NAME, OPTIONS, artifact_of, assert_ends, attribute, install, small_disk
from tests.disk.steps import DATA
from tests.mounts import bound, windows_names
from tests.procs import files_left

INNER = "own/m.gguf"


def opening(folder: Path, name: str = NAME) -> Callable[[], None]:
    """A transaction that opens the part, and so asks for everything that can be known before the first byte."""

    def act() -> None:
        with Transaction(folder, [artifact_of(DATA, name)], options=OPTIONS) as transaction:
            transaction.open(artifact_of(DATA, name))

    return act


def test_where_all_is_well_nothing_changes(tmp_path: Path) -> None:
    """Not even the models folder is made by a check; a rehearsal leaves what it found."""
    models = tmp_path / "models"
    Places().check(staging_for(models, INNER))
    assert not models.exists()
    install(models, (DATA, INNER))
    before = files_left(models)
    Places().check(staging_for(models, INNER), len(DATA))
    rehearse(staging_for(models, INNER))
    assert files_left(models) == before
    assert (models / INNER).read_bytes() == DATA


@pytest.mark.parametrize("which", ["tmpfs", "bind"])
def test_a_target_on_another_mount(tmp_path: Path, which: str) -> None:
    """No rename leads there, though a bind mount is on the same device."""
    models, other = tmp_path / "models", tmp_path / "other"
    other.mkdir()
    models.mkdir()
    if which == "bind":
        (models / "own").mkdir()
    with bound(models / "own", other) if which == "bind" else small_disk(models / "own", 1 << 20):
        error = assert_ends(models, CannotHold, opening(models, INNER), [])
        assert f"{models / 'own'} is on another disk than {models / '.luci' / 'own'}" in error.message
        assert f"--dir {models / 'own'}" in error.hint
        assert list((models / "own").iterdir()) == []


def test_a_file_that_is_a_mount_point(tmp_path: Path) -> None:
    """A container may have one file of another folder in the place of the model."""
    install(tmp_path, (DATA, NAME))
    (tmp_path / "other").write_bytes(DATA)
    with bound(tmp_path / NAME, tmp_path / "other"):
        error = assert_ends(tmp_path, CannotHold, opening(tmp_path), [f"{NAME}.receipt"])
        assert error.message == f"cannot replace {tmp_path / NAME}: it is a mount point"


@pytest.mark.parametrize(("letter", "word"), [("i", "immutable"), ("a", "append-only")])
@pytest.mark.parametrize("where", ["target", "receipt", "folder", "models folder"])
def test_a_file_or_folder_that_not_even_root_may_change(tmp_path: Path, letter: str, word: str, where: str) -> None:
    """The message names the attribute, and not the owner."""
    name = NAME if where == "models folder" else INNER
    install(tmp_path, (DATA, name))
    staging = staging_for(tmp_path, name)
    path = getattr(staging, where) if where in ("target", "receipt") else staging.target.parent
    with attribute(letter, path):
        error = assert_ends(tmp_path, CannotHold, opening(tmp_path, name), [f"{name}.receipt"])
    assert error.message == f"cannot {'write into' if 'folder' in where else 'replace'} {path}: it is {word}"
    assert f"chattr -{letter}" in error.hint


@pytest.mark.parametrize("me", ["owner of the file", "owner of the folder", "root", "somebody"])
def test_a_file_in_a_sticky_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, me: str) -> None:
    """Only its owner, the folder's, and root may replace it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    tmp_path.chmod(0o1777)
    os.chown(tmp_path, 40_001, -1)
    (tmp_path / NAME).write_bytes(DATA)
    os.chown(tmp_path / NAME, 40_002, -1)
    uid = {"owner of the folder": 40_001, "owner of the file": 40_002, "root": 0, "somebody": 40_003}[me]
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr(place, "_may_act_for_owners", lambda: uid == 0)
    if me == "somebody":
        with pytest.raises(CannotHold, match=r"belongs to user 40002, and .* lets only the owner"):
            Places().check(staging_for(tmp_path, NAME))
    else:
        Places().check(staging_for(tmp_path, NAME))


@pytest.mark.parametrize("name", ["a:b.gguf", "what?.gguf", "CON.gguf", "m.", "who<is>it.gguf", "Q4/a|b.gguf"])
def test_a_name_that_windows_forbids(tmp_path: Path, name: str) -> None:
    """By the file system's own refusal, or where that would come with the last rename, by a rehearsal."""
    with windows_names(tmp_path / "disk") as models:
        with pytest.raises(CannotHold, match="does not allow the name"):
            opening(models, name)()
        assert [path for path in files_left(models) if not path.endswith((".lock", "/"))] == []


@pytest.mark.parametrize("kind", ["vfat", "exfat"])
def test_a_name_that_a_fat_would_refuse_or_change_is_known_before_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Linux drops a dot at the end there without an error."""
    monkeypatch.setattr(place, "file_system", lambda _path: FileSystem(kind, "/"))
    for name in ("m.", "a:b.gguf", "a:b/m.gguf"):
        with pytest.raises(CannotHold, match=r"does not allow the name .*: it (ends in a dot|contains :)"):
            Places().check(staging_for(tmp_path, name))
    Places().check(staging_for(tmp_path, "Q4_K_M/sound name.gguf"))


def test_a_file_that_is_too_large_for_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though there is room for it."""
    monkeypatch.setattr(place, "file_system", lambda _path: FileSystem("vfat", "/"))
    with pytest.raises(CannotHold, match="4 GiB"):
        Places().check(staging_for(tmp_path, NAME), 4 << 30)


def test_a_move_that_only_trying_shows_to_be_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A union of disks may say so only when it is asked to rename."""

    def refuse(_old: Path, _new: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    (tmp_path / ".luci").mkdir()
    monkeypatch.setattr("os.rename", refuse)
    error = assert_ends(tmp_path, CannotHold, opening(tmp_path), [])
    assert "a finished file could not be moved" in error.message
    assert "different disks" in error.hint


def test_what_a_kill_leaves_of_a_rehearsal_is_removed(tmp_path: Path) -> None:
    """By the next rehearsal of the same target, or by `clean`; a dry run lists it."""
    staging = staging_for(tmp_path, INNER)
    left = staging.rehearsal_in(tmp_path)  # the target's own folder was not there yet
    for remove in (lambda: rehearse(staging), lambda: clean(tmp_path, None, False, CancelToken(), ignore)):
        fs.make_folder(staging.base.parent)
        fs.create(left)
        found: list[Cleaned] = []
        clean(tmp_path, None, True, CancelToken(), found.append)  # type: ignore[arg-type]
        assert [(event.path, event.kind) for event in found] == [(str(left), "rehearsal")]
        remove()
        assert not left.exists()


def test_a_path_that_leaves_no_room_for_lucis_own_files(tmp_path: Path) -> None:
    """The receipt could never be written; the longest path that can be is installed."""
    folder = tmp_path
    while len(str(folder)) < 3_700:
        folder /= "d" * 100
    room = os.pathconf("/", "PC_PATH_MAX") - 1 - len(str(folder)) - len("/.luci/") - len(".journal.new") - 32
    parts = [*["n" * 99] * ((room - 1) // 100), "n" * (room % 100 or 100)]
    name = "/".join(parts)[:room]
    with pytest.raises(CannotHold, match="is too long: with the names of luci's own files"):
        staging_for(folder, name + "n")
    install(folder, (DATA, name))
    assert (folder / name).read_bytes() == DATA


def test_mounts_below_a_folder_are_known(tmp_path: Path) -> None:
    """For `luci doctor`."""
    (tmp_path / "own").mkdir()
    assert filesystems.mounted_below(tmp_path) == []
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        assert [each.mounted_at for each in filesystems.mounted_below(tmp_path)] == [str(disk)]
