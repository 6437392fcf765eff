"""Moving a model: the same files with the same receipts elsewhere, and at no moment less than one whole copy."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import luci_dl
from luci_dl.api.link import link
from luci_dl.cancel import CancelToken
from luci_dl.disk import fs, receipt, space
from luci_dl.disk.journal import CommitEntry, entry_from
from luci_dl.disk.layout import staging_for
from luci_dl.errors import IntegrityError, Interrupted, LockedError, NoRoom, ResolveError, StorageError, UsageError
from luci_dl.events import Copying, Event
from luci_dl.library.installed import installed
from tests.disk.hands import KIB, install, kill_after, url_of
from tests.interrupting import held
from tests.procs import luci
from tests.transport.conftest import DATA, OTHER, receipt_of, there


def test_on_one_disk_the_files_get_other_names(models: Path, tmp_path: Path) -> None:
    """They are the same files, and not read."""
    install(models, (DATA, "o/a.gguf"), (OTHER, "o/b.gguf"))
    inodes = [(models / name).stat().st_ino for name in ("o/a.gguf", "o/b.gguf")]
    (moved,) = luci_dl.move("a.gguf", to=tmp_path / "big")
    assert (moved.outcome, moved.copied, moved.size) == ("moved", 0, len(DATA) + len(OTHER))
    assert [Path(path).stat().st_ino for path in moved.paths] == inodes
    assert (there(models), there(tmp_path / "big")) == ([], ["o/a.gguf", "o/b.gguf"])
    assert [(Path(path).stat().st_nlink) for path in moved.paths] == [1, 1]
    assert [model.folder for model in luci_dl.installed()] == [tmp_path / "big"]


def test_to_another_disk_they_are_copied(models: Path, other_disk: Path) -> None:
    """The folder is remembered."""
    install(models, (DATA, "a.gguf"))
    (moved,) = luci_dl.move("a.gguf", to=other_disk)
    assert moved.copied == len(DATA)
    assert (there(models), (other_disk / "a.gguf").read_bytes()) == ([], DATA)
    assert luci_dl.path("a.gguf") == other_disk / "a.gguf"


@pytest.mark.parametrize("linkable", [True, False])
def test_receipts_keep_what_they_say(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linkable: bool
) -> None:
    """Whether the files are copied or not."""
    install(models, (DATA, "a.gguf"), (OTHER, "a-mmproj.gguf"))
    before = {}
    for name in ("a.gguf", "a-mmproj.gguf"):
        role = "projector" if "mmproj" in name else "model"
        known = replace(receipt_of(models, name), url="https://h/x", role=role, validator='"v"', commit="c" * 40)
        kept = {"manifest": "e30="} if role == "model" else {}
        before[name] = replace(known, installed="2020-01-01T00:00:00+00:00", asked={"quant": "Q4"}, kept=kept)
        receipt.write(staging_for(models, name).receipt, before[name])
    if not linkable:
        monkeypatch.setattr("luci_dl.disk.transaction.can_link", lambda *_: False)
    luci_dl.move("a.gguf", to=tmp_path / "big")
    for name, known in before.items():
        now = receipt_of(tmp_path / "big", name)
        assert now == replace(known, mtime_ns=now.mtime_ns, verified=now.verified)
        assert now.mtime_ns == (tmp_path / "big" / name).stat().st_mtime_ns


def test_an_old_receipt_stays_one_that_does_not_know_what_was_asked(models: Path, tmp_path: Path) -> None:
    """`outdated` cannot say more after a move than before."""
    install(models, (DATA, "a.gguf"))
    path = staging_for(models, "a.gguf").receipt
    fields = json.loads(path.read_text()) | {"v": 1}
    for name in ("asked", "validator", "commit", "kept"):
        fields.pop(name, None)
    path.write_text(json.dumps(fields))
    luci_dl.move("a.gguf", to=tmp_path / "big")
    assert receipt_of(tmp_path / "big", "a.gguf").asked is None


def test_a_file_that_another_model_needs_is_copied(models: Path, tmp_path: Path) -> None:
    """Both models are whole afterwards, each with files of its own."""
    install(models, (DATA, "one.gguf"), (OTHER, "proj.gguf"))
    install(models, (DATA, "two.gguf"), (OTHER, "proj.gguf"))
    (moved,) = luci_dl.move("one.gguf", to=tmp_path / "big")
    assert moved.copied == len(OTHER)
    assert (there(models), there(tmp_path / "big")) == (["proj.gguf", "two.gguf"], ["one.gguf", "proj.gguf"])
    assert not (models / "proj.gguf").samefile(tmp_path / "big/proj.gguf")
    for folder, reference in ((models, "two.gguf"), (tmp_path / "big", "one.gguf")):
        (model,) = installed([folder])
        assert (model.reference, model.state, len(model.names)) == (reference, "ok", 2)


def test_a_touched_file_is_proved_and_moved(models: Path, tmp_path: Path) -> None:
    """Its receipt has the new time."""
    install(models, (DATA, "a.gguf"))
    os.utime(models / "a.gguf", (1, 1))
    luci_dl.move("a.gguf", to=tmp_path / "big")
    (model,) = installed([tmp_path / "big"])
    assert model.state == "ok"


@pytest.mark.parametrize("wrong", [b"mine", b"!" * len(DATA)])
def test_a_damaged_model_is_not_moved(models: Path, tmp_path: Path, wrong: bytes) -> None:
    """Whether its size has changed or not."""
    install(models, (OTHER, "b.gguf"), (DATA, "a.gguf"))
    (models / "a.gguf").write_bytes(wrong)
    with pytest.raises(IntegrityError, match=r"a\.gguf"):
        luci_dl.move("b.gguf", to=tmp_path / "big")
    assert (there(models), there(tmp_path / "big")) == (["a.gguf", "b.gguf"], [])


def test_something_else_there_is_never_touched(models: Path, tmp_path: Path) -> None:
    """A file of the user's, or another version of the model."""
    install(models, (OTHER, "b.gguf"), (DATA, "a.gguf"))
    big = tmp_path / "big"
    big.mkdir()
    (big / "a.gguf").write_text("mine")
    with pytest.raises(IntegrityError, match="is another file"):
        luci_dl.move("a.gguf", to=big)
    assert ((big / "a.gguf").read_text(), there(big), there(models)) == ("mine", ["a.gguf"], ["a.gguf", "b.gguf"])
    (big / "a.gguf").unlink()
    install(big, (OTHER, "a.gguf"))
    with pytest.raises(IntegrityError, match="another version"):
        luci_dl.move("a.gguf", to=big)
    assert (there(big), there(models)) == (["a.gguf"], ["a.gguf", "b.gguf"])


def test_the_same_file_there_is_adopted(models: Path, tmp_path: Path) -> None:
    """And gets a receipt."""
    install(models, (DATA, "a.gguf"))
    (tmp_path / "big").mkdir()
    (tmp_path / "big/a.gguf").write_bytes(DATA)
    (moved,) = luci_dl.move("a.gguf", to=tmp_path / "big")
    assert (moved.outcome, moved.copied, there(models)) == ("moved", 0, [])
    assert receipt_of(tmp_path / "big", "a.gguf").url == url_of("a.gguf")


def test_what_is_there_already_is_said_to_be(models: Path, tmp_path: Path) -> None:
    """Moved twice."""
    install(models, (DATA, "a.gguf"))
    assert [each.outcome for _ in range(2) for each in luci_dl.move("a.gguf", to=tmp_path / "big")] == [
        "moved",
        "already",
    ]


@pytest.mark.parametrize("where", ["old", "new"])
def test_a_model_in_use_is_refused(models: Path, tmp_path: Path, where: str) -> None:
    """In either folder; nothing is changed."""
    install(models, (DATA, "a.gguf"))
    big = tmp_path / "big"
    with held(staging_for(models if where == "old" else big, "a.gguf").lock), pytest.raises(LockedError):
        luci_dl.move("a.gguf", to=big)
    assert (there(models), there(big)) == (["a.gguf"], [])


def test_a_full_disk_is_found_before_the_first_byte(
    models: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All models are added up."""
    install(models, (DATA, "a.gguf"))
    install(models, (OTHER, "b.gguf"))
    monkeypatch.setattr(space, "free_bytes", lambda _folder: len(DATA) + 1)
    with pytest.raises(NoRoom, match="what is missing in"):
        luci_dl.move("a.gguf", "b.gguf", to=other_disk)
    assert (there(models), other_disk.exists()) == (["a.gguf", "b.gguf"], False)


def test_an_interrupt_leaves_all_in_the_old_place(models: Path, other_disk: Path) -> None:
    """The new folder is not remembered, and gone."""
    install(models, (DATA, "a.gguf"))
    token = CancelToken()

    def stop(event: Event) -> None:
        if isinstance(event, Copying):
            token.cancel()

    with pytest.raises(Interrupted):
        luci_dl.move("a.gguf", to=other_disk, token=token, emit=stop)
    assert (there(models), there(other_disk)) == (["a.gguf"], [])


def test_where_there_are_no_hard_links_it_is_copied(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a FAT; what a kill left of trying is removed."""

    def refuse(_old: object, _new: object) -> None:
        raise StorageError("cannot make a hard link: Operation not permitted")

    install(models, (DATA, "a.gguf"))
    monkeypatch.setattr(fs, "hard_link", refuse)
    (moved,) = luci_dl.move("a.gguf", to=tmp_path / "big")
    assert (moved.copied, there(models), there(tmp_path / "big")) == (len(DATA), [], ["a.gguf"])


def test_links_follow(models: Path, tmp_path: Path) -> None:
    """A symlink leads to the new place."""
    install(models, (DATA, "a.gguf"))
    (tmp_path / "app").mkdir()
    link(str(tmp_path / "app"), "a.gguf", how="symlink")
    luci_dl.move("a.gguf", to=tmp_path / "big")
    (linked,) = (path for path in (tmp_path / "app").rglob("*") if path.is_symlink())
    assert linked.resolve() == (tmp_path / "big/a.gguf").resolve()


def test_a_model_in_two_folders_needs_dir(models: Path, tmp_path: Path) -> None:
    """But not if one of them is the new one: then it is removed from the other."""
    for folder in (models, tmp_path / "second"):
        install(folder, (DATA, "a.gguf"))
    (models.parent / "config.json").write_text(json.dumps({"min_free": 0, "folders": [str(tmp_path / "second")]}))
    with pytest.raises(ResolveError, match="2 folders"):
        luci_dl.move("a.gguf", to=tmp_path / "big")
    luci_dl.move("a.gguf", to=tmp_path / "second")
    assert (there(models), there(tmp_path / "second")) == ([], ["a.gguf"])


def test_the_command_line_says_what_it_does(models: Path, tmp_path: Path) -> None:
    """A dry run changes nothing; mistakes are usage errors."""
    install(models, (DATA, "a.gguf"))
    big = tmp_path / "big"
    dry = luci("move", "a.gguf", "--to", big, "--dry-run")
    assert (dry.returncode, dry.stderr, there(models), big.exists()) == (0, "", ["a.gguf"], False)
    assert dry.stdout.startswith(f"Would move a.gguf to {big} (0B of ")
    assert luci("move", "a.gguf").returncode == luci("move", "--to", big).returncode == UsageError.exit_code
    assert luci("move", "b.gguf", "--to", big).returncode == ResolveError.exit_code
    moved = luci("move", "a.gguf", "--to", big, "--json")
    (event,) = map(json.loads, moved.stdout.splitlines())
    assert (event["event"], event["outcome"], event["paths"]) == ("moved", "moved", [str(big / "a.gguf")])


def test_an_unfinished_download_there_is_replaced(models: Path, tmp_path: Path) -> None:
    """Its part never is another name of the model's file, which a resumed download would cut off."""
    install(models, (DATA, "a.gguf"))
    kill_after(tmp_path / "big", DATA, 32 * KIB, "a.gguf")
    luci_dl.move("a.gguf", to=tmp_path / "big")
    assert (there(models), there(tmp_path / "big")) == ([], ["a.gguf"])
    assert (tmp_path / "big/a.gguf").read_bytes() == DATA


def test_records_of_older_versions_are_completed(models: Path, tmp_path: Path) -> None:
    """They have no source."""
    install(models, (DATA, "a.gguf"))
    known = receipt_of(models, "a.gguf")
    inode = (models / "a.gguf").stat().st_ino
    entry = asdict(CommitEntry(len(DATA), known.sha256, inode, known, None))
    del entry["source"]
    again = entry_from(entry, models)
    assert again
    assert again.source == ""


def test_where_luci_has_its_own_files_is_no_models_folder(models: Path) -> None:
    """`clean` would meet the model there."""
    install(models, (DATA, "a.gguf"))
    for act in (luci_dl.move, luci_dl.export_models):
        for folder in (models / ".luci", models / ".luci/in"):
            with pytest.raises(UsageError, match="luci has files of its own in"):
                act("a.gguf", to=folder)
    assert there(models) == ["a.gguf"]
