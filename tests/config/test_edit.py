from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.config.edit import forget_folder, remember_folder, set_setting, unset_setting
from luci_dl.config.settings import Settings, load_settings
from luci_dl.disk import fs, lock
from luci_dl.disk.lock import file_lock, is_held
from luci_dl.errors import Interrupted, NoRoom, UsageError
from tests.config.files import write
from tests.disk.hands import small_disk
from tests.procs import lock_is_free, wait_until


def test_a_folder_is_remembered_once_and_the_rest_is_kept(luci_home: Path, tmp_path: Path) -> None:
    """Unknown keys are kept."""
    file = write(luci_home, unknown={"a": [1]}, min_free="1G")
    for _ in range(2):
        remember_folder(load_settings({}), tmp_path / "models")
    assert json.loads(file.read_text()) == {
        "unknown": {"a": [1]},
        "min_free": "1G",
        "folders": [str(tmp_path / "models")],
    }
    assert load_settings({}).folders == (tmp_path / "models",)


def test_the_default_folder_need_not_be_remembered(luci_home: Path) -> None:
    """No file is created for it."""
    remember_folder(load_settings({}), luci_home / "models")
    assert list(luci_home.iterdir()) == []


def test_remembering_creates_a_missing_home(tmp_path: Path) -> None:
    """The first --dir may come before anything else."""
    settings = load_settings({"LUCI_HOME": str(tmp_path / "new" / "home")})
    remember_folder(settings, tmp_path / "m")
    assert json.loads(settings.file.read_text()) == {"folders": [str(tmp_path / "m")]}


def test_what_the_user_wrote_stays_readable(luci_home: Path) -> None:
    """Letters are not turned into escapes, and a symlink stays one."""
    file = luci_home / "dotfiles" / "config.json"
    file.parent.mkdir()
    file.write_text('{"note": "Köln", "folders": []}')
    (luci_home / "config.json").symlink_to(file)
    remember_folder(load_settings({}), Path("/Modèles"))
    assert (luci_home / "config.json").is_symlink()
    assert json.loads(file.read_text()) == {"note": "Köln", "folders": ["/Modèles"]}
    assert "Köln" in file.read_text()
    assert "Modèles" in file.read_text()


def test_a_folder_whose_name_is_not_utf8_is_remembered(luci_home: Path) -> None:
    """It is read back byte for byte."""
    folder = Path("/m\udcff")
    remember_folder(load_settings({}), folder)
    assert load_settings({}).folders == (folder,)


def test_nothing_is_lost_when_many_remember_at_once(luci_home: Path, tmp_path: Path) -> None:
    """Each reads, changes and writes under one lock."""
    settings = load_settings({})
    folders = [tmp_path / str(number) for number in range(8)]
    threads = [threading.Thread(target=remember_folder, args=(settings, folder)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(load_settings({}).folders) == set(folders)


def test_a_broken_file_is_not_overwritten(luci_home: Path) -> None:
    """The user can still repair it."""
    settings = load_settings({})
    file = luci_home / "config.json"
    file.write_text("{broken")
    with pytest.raises(UsageError, match="is not JSON"):
        remember_folder(settings, Path("/m"))
    assert file.read_text() == "{broken"


def test_a_full_disk_of_lucis_own_folder_is_no_matter_of_models_folders(luci_home: Path) -> None:
    """The hint names what can be done there; the file stays, nothing else does, and the lock is free."""
    luci_home.rmdir()
    with small_disk(luci_home, 64 << 10) as disk:
        file = write(disk, jobs=2)
        before = file.read_text()
        with contextlib.suppress(OSError), open(disk / "filler", "wb") as filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()
        with pytest.raises(NoRoom) as caught:
            set_setting(file, "jobs", ["3"], {}, CancelToken())
        assert "LUCI_HOME" in caught.value.hint
        assert "--dir" not in caught.value.hint
        assert file.read_text() == before
        assert {path.name for path in disk.iterdir()} - {"config.json.lock"} == {"config.json", "filler"}
        assert not is_held(disk / "config.json.lock")


CHANGES: dict[str, Callable[[Settings, CancelToken], object]] = {
    "set": lambda settings, token: set_setting(settings.file, "jobs", ["3"], {}, token),
    "unset": lambda settings, token: unset_setting(settings.file, "jobs", [], token),
    "remember": lambda settings, token: remember_folder(settings, Path("/m"), token),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_written_after_an_interrupt(luci_home: Path, change: str) -> None:
    """A change that was still waiting for the lock when the user interrupted it leaves the file unchanged."""
    file, token, before = write(luci_home, jobs=2), CancelToken(), set(threading.enumerate())
    with file_lock(file.with_name("config.json.lock")):
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(Interrupted):
            CHANGES[change](load_settings({}), token)
    for abandoned in set(threading.enumerate()) - before:
        abandoned.join(10)
    assert json.loads(file.read_text()) == {"jobs": 2}


class Slow:
    """A call during which the token is cancelled, and which continues when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
        self.token = CancelToken()
        self.may_continue = threading.Event()
        self._call = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *args: Any) -> Any:
        self.token.cancel()
        assert self.may_continue.wait(10)
        return self._call(*args)


@pytest.mark.parametrize(("module", "name"), [(lock, "file_lock"), (fs, "sync_data")])
def test_nothing_is_written_after_an_interrupt_was_reported(
    luci_home: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    """The thread that waits for the lock, or for a slow disk, lives on in the process, but does not rename the file."""
    slow = Slow(monkeypatch, module, name)
    with pytest.raises(Interrupted):
        remember_folder(load_settings({}), Path("/m"), slow.token)
    slow.may_continue.set()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "luci-work"])
    assert [path.name for path in luci_home.iterdir()] == ["config.json.lock"]
    assert lock_is_free(luci_home / "config.json.lock")


def test_a_rename_that_has_begun_is_over_when_the_interrupt_is_reported(
    luci_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what is in the file then stays in it."""
    slow = Slow(monkeypatch, fs, "rename")
    threading.Timer(0.2, slow.may_continue.set).start()
    with pytest.raises(Interrupted):
        remember_folder(load_settings({}), Path("/m"), slow.token)
    assert load_settings({}).folders == (Path("/m"),)


def test_a_folder_is_remembered_under_one_name_only_and_forgotten_under_any(luci_home: Path, tmp_path: Path) -> None:
    """By device and inode."""
    (tmp_path / "models").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "models")
    assert remember_folder(load_settings({}), tmp_path / "models")
    assert not remember_folder(load_settings({}), tmp_path / "link")
    assert load_settings({}).folders == (tmp_path / "models",)
    forget_folder(load_settings({}), tmp_path / "link")
    assert load_settings({}).folders == ()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_the_default_folder_on_another_disk_is_remembered(luci_home: Path) -> None:
    """It may be missing some day."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        (luci_home / "models").symlink_to(other)
        assert remember_folder(load_settings({}), luci_home / "models")
    assert load_settings({}).folders == (luci_home / "models",)
