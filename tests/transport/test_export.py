"""Onto a stick: a models folder of its own, with a SHA256SUMS; what the stick cannot hold is refused at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import luci_dl
from luci_dl.disk import filesystems, receipt
from luci_dl.disk.layout import staging_for
from luci_dl.errors import CannotHold, IntegrityError, LockedError, StorageError
from luci_dl.events import Copying, Event, ExportSummary
from luci_dl.install.copying import fill_from
from luci_dl.library.installed import installed
from tests import mounts
from tests.disk.hands import install
from tests.procs import luci
from tests.tools import need
from tests.transport.conftest import DATA, OTHER, receipt_of, there


def as_fat(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let luci take the file system of the folder for a FAT."""
    on = filesystems.FileSystem("vfat", str(folder))
    for module in ("place", "transaction"):
        monkeypatch.setattr(f"luci_dl.disk.{module}.file_system", lambda _path: on)


def test_the_stick_is_a_models_folder(models: Path, tmp_path: Path) -> None:
    """`list`, `verify` and `path` work on it, and `sha256sum` without luci."""
    install(models, (DATA, "o/a.gguf"), (OTHER, "o/a-mmproj.gguf"))
    stick, events = tmp_path / "stick", list[Event]()
    (exported,) = luci_dl.export_models("a.gguf", to=stick, emit=events.append)
    assert (exported.outcome, exported.copied) == ("exported", exported.size)
    assert there(stick) == ["SHA256SUMS", "o/a-mmproj.gguf", "o/a.gguf"]
    assert there(models) == ["o/a-mmproj.gguf", "o/a.gguf"]
    assert not (stick / "o/a.gguf").samefile(models / "o/a.gguf")
    checked = subprocess.run([need("sha256sum"), "--check", "--strict", "SHA256SUMS"], cwd=stick)
    assert checked.returncode == 0
    assert luci_dl.path("a.gguf", folder=stick) == stick / "o/a.gguf"
    assert [verdict.state for verdict in luci_dl.verify(folder=stick)] == ["ok", "ok"]
    assert events[-1] == ExportSummary(str(stick), 2, exported.size, str(stick / "SHA256SUMS"))
    assert [model.folder for model in luci_dl.installed()] == [models]


def test_exported_again_it_is_there_already(models: Path, tmp_path: Path) -> None:
    """A newer version replaces the old one."""
    install(models, (DATA, "a.gguf"))
    assert [luci_dl.export_models("a.gguf", to=tmp_path / "s")[0].outcome for _ in range(2)] == ["exported", "already"]
    shutil.rmtree(models)
    install(models, (OTHER, "a.gguf"))
    assert luci_dl.export_models("a.gguf", to=tmp_path / "s")[0].outcome == "exported"
    assert (tmp_path / "s/a.gguf").read_bytes() == OTHER
    assert receipt_of(models, "a.gguf").sha256 in (tmp_path / "s/SHA256SUMS").read_text()


def test_what_a_fat_cannot_hold_is_refused_at_once(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 4 GiB, or a name that it does not allow; the message names exFAT."""
    install(models, (DATA, "a.gguf"))
    install(models, (OTHER, "b.gguf"))
    install(models, (DATA, "c:d.gguf"))
    os.truncate(models / "a.gguf", 4 << 30)
    path = staging_for(models, "a.gguf").receipt
    moment = (models / "a.gguf").stat().st_mtime_ns
    receipt.write(path, replace(receipt_of(models, "a.gguf"), size=4 << 30, mtime_ns=moment))
    stick = tmp_path / "stick"
    as_fat(monkeypatch, stick)
    for name in ("a.gguf", "c:d.gguf"):
        with pytest.raises(CannotHold) as error:
            luci_dl.export_models("b.gguf", name, to=stick)
        assert "exFAT" in error.value.hint
        assert not stick.exists()


def test_a_stick_may_be_filled(models: Path, tmp_path: Path) -> None:
    """`min_free` is for disks that are worked on."""
    install(models, (DATA, "a.gguf"))
    (models.parent / "config.json").write_text(json.dumps({"min_free": 1 << 50}))
    luci_dl.export_models("a.gguf", to=tmp_path / "stick")
    assert there(tmp_path / "stick") == ["SHA256SUMS", "a.gguf"]


def test_a_stick_that_is_not_there_is_not_made(models: Path, tmp_path: Path) -> None:
    """Of the path only the last folder is."""
    install(models, (DATA, "a.gguf"))
    with pytest.raises(StorageError, match="does not exist"):
        luci_dl.export_models("a.gguf", to=tmp_path / "media" / "usb")
    assert not (tmp_path / "media").exists()


def test_a_foreign_file_stays(models: Path, tmp_path: Path) -> None:
    """Nothing is exported then."""
    install(models, (OTHER, "b.gguf"))
    install(models, (DATA, "a.gguf"))
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/a.gguf").write_text("mine")
    with pytest.raises(IntegrityError, match="is another file"):
        luci_dl.export_models("b.gguf", "a.gguf", to=tmp_path / "stick")
    assert (there(tmp_path / "stick"), (tmp_path / "stick/a.gguf").read_text()) == (["a.gguf"], "mine")


def test_a_stick_pulled_out_leaves_nothing_half(models: Path, tmp_path: Path) -> None:
    """One message, and no file under its final name."""
    install(models, (DATA, "a.gguf"))
    with mounts.without_preallocation(tmp_path / "stick", 8 << 20) as stick:

        def pull_out(event: Event) -> None:
            if isinstance(event, Copying) and os.path.ismount(stick):
                subprocess.run([need("umount"), "-l", str(stick)], check=True)

        with pytest.raises(StorageError) as error:
            luci_dl.export_models("a.gguf", to=stick, emit=pull_out)
        assert "Is the disk still there" in error.value.hint
        assert there(stick) == []
        image = tmp_path / "stick.image"
        subprocess.run([need("mount"), "-o", "loop", str(image), str(stick)], check=True)
        assert not (stick / "a.gguf").exists()
        assert not (stick / "SHA256SUMS").exists()


def test_on_a_real_stick(models: Path, tmp_path: Path) -> None:
    """An NTFS: exported, and imported again; a name that it does not allow is refused."""
    install(models, (DATA, "o/a.gguf"), (OTHER, "o/b.gguf"))
    install(models, (OTHER, "c:d.gguf"))
    with mounts.windows_names(tmp_path / "stick") as stick:
        luci_dl.export_models("a.gguf", to=stick)
        assert [model.reference for model in installed([stick])] == ["o/a.gguf"]
        (imported,) = luci_dl.import_models(stick, folder=tmp_path / "new")
        assert (imported.outcome, there(tmp_path / "new")) == ("imported", ["o/a.gguf", "o/b.gguf"])
        with pytest.raises(CannotHold):
            luci_dl.export_models("c:d.gguf", to=stick)
        assert there(stick) == ["SHA256SUMS", "o/a.gguf", "o/b.gguf"]


def test_on_one_btrfs_blocks_are_shared(models: Path, tmp_path: Path) -> None:
    """Nothing is copied, and yet each has a file of its own."""
    with mounts.full_btrfs(tmp_path / "disk") as disk:
        install(disk / "models", (DATA, "a.gguf"))
        (exported,) = luci_dl.export_models("a.gguf", to=disk / "stick", folder=disk / "models")
        assert (exported.outcome, exported.copied) == ("exported", 0)
        assert (disk / "stick/a.gguf").stat().st_nlink == 1
        assert (disk / "stick/a.gguf").read_bytes() == DATA


def test_the_command_line_says_what_it_does(models: Path, tmp_path: Path) -> None:
    """A dry run changes nothing; without names it is a usage error."""
    install(models, (DATA, "a.gguf"))
    stick = tmp_path / "stick"
    dry = luci("export", "a.gguf", stick, "--dry-run")
    assert (dry.returncode, stick.exists(), dry.stdout.split(" (")[0]) == (0, False, f"Would export a.gguf to {stick}")
    assert luci("export", stick).returncode == luci("export").returncode == 2
    assert luci("export", "b.gguf", stick).returncode == 3
    ended = luci("export", "a.gguf", stick)
    assert ended.returncode == 0
    assert "can be unmounted" in ended.stderr


@pytest.mark.parametrize("end", ["removed", "upgraded"])
def test_what_another_process_changed_meanwhile_is_said_so(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """It is not called damaged, and a stick on which nothing is gets no SHA256SUMS."""
    install(models, (DATA, "a.gguf"))

    def late(*arguments: Any) -> None:
        luci_dl.remove("a.gguf")
        if end == "upgraded":
            install(models, (OTHER[: len(DATA)].ljust(len(DATA), b"x"), "a.gguf"))
        fill_from(*arguments)

    monkeypatch.setattr("luci_dl.transport.carry.fill_from", late)
    events = list[Event]()
    with pytest.raises(LockedError, match=r"another process has just changed a\.gguf"):
        luci_dl.export_models("a.gguf", to=tmp_path / "s", emit=events.append)
    assert there(tmp_path / "s") == []
    assert not [event for event in events if isinstance(event, ExportSummary)]
