from __future__ import annotations

import json
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from luci_dl.cancel import CancelToken
from luci_dl.config.keys import parse_size, size_text
from luci_dl.config.settings import load_settings, remember_folder
from luci_dl.disk import fs, lock
from luci_dl.errors import Interrupted, StorageError, UsageError
from luci_dl.plan import Options
from tests.procs import lock_is_free, wait_until


@pytest.fixture
def luci_home() -> Path:
    """The default LUCI_HOME, there but empty."""
    folder = Path("~/.luciferai").expanduser()
    folder.mkdir(parents=True)
    return folder


def write(luci_home: Path, **values: object) -> Path:
    """A config.json with these values."""
    file = luci_home / "config.json"
    file.write_text(json.dumps(values))
    return file


def test_without_anything_the_defaults_hold(luci_home: Path) -> None:
    """An environment variable that is empty counts as not set."""
    settings = load_settings({"LUCI_HOME": "", "LUCI_MODELS_DIR": "", "LUCI_CATALOG": ""})
    assert (settings.home, settings.models_dir, settings.catalog) == (luci_home, luci_home / "models", None)
    assert (settings.min_free, settings.on_interrupt, settings.folders) == (1 << 30, "delete", ())


def test_every_key_of_the_file_is_read(luci_home: Path) -> None:
    """`~` is expanded, and a relative path starts at luci's folder."""
    write(
        luci_home,
        models_dir="~/m",
        catalog="my.toml",
        min_free="20M",
        on_interrupt="keep",
        folders=["/a", "~/b"],
        other=1,
        backup_models_dir="/spare",
        mirrors=["https://a.example"],
        connections=4,
        jobs=2,
        limit_rate="20M/s",
        retries=0,
    )
    settings = load_settings({})
    assert (settings.models_dir, settings.catalog) == (luci_home.parent / "m", luci_home / "my.toml")
    assert (settings.min_free, settings.on_interrupt) == (20_000_000, "keep")
    assert settings.folders == (Path("/a"), luci_home.parent / "b")
    assert (settings.backup_models_dir, settings.mirrors) == (Path("/spare"), ("https://a.example",))
    expected = Options(2, 4, 20_000_000, 0, keep_partial=True, min_free=20_000_000)
    assert settings.options == expected


def test_a_catalog_in_lucis_folder_needs_no_setting(luci_home: Path) -> None:
    """It is used once it is there; another one that is named takes its place."""
    assert load_settings({}).own_catalog == luci_home / "catalog.toml"
    (luci_home / "catalog.toml").touch()
    assert load_settings({}).catalog == load_settings({}).own_catalog == luci_home / "catalog.toml"
    assert load_settings({"LUCI_CATALOG": "/my.toml"}).own_catalog == Path("/my.toml")


def test_a_null_counts_as_not_set_and_a_zero_as_zero(luci_home: Path) -> None:
    """Nobody has to keep space free who does not want to."""
    write(luci_home, models_dir=None, min_free=0)
    assert load_settings({}).models_dir == luci_home / "models"
    assert load_settings({}).min_free == 0


def test_a_flag_beats_the_environment_which_beats_the_file(luci_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a relative path that the user typed starts where the user is."""
    monkeypatch.chdir(luci_home.parent)
    write(luci_home, models_dir="/file", catalog="/file.toml")
    environ = {"LUCI_MODELS_DIR": "~/env", "LUCI_CATALOG": "env.toml"}
    assert load_settings({}).models_dir == Path("/file")
    assert load_settings(environ).models_dir == luci_home.parent / "env"
    assert load_settings(environ).catalog == luci_home.parent / "env.toml"
    assert load_settings(environ, Path("flag")).models_dir == luci_home.parent / "flag"
    assert load_settings({"LUCI_MIRRORS": "https://a.example, http://b:8080"}).mirrors == (
        "https://a.example",
        "http://b:8080",
    )
    assert load_settings(environ, Path("~/flag")).models_dir == luci_home.parent / "flag"


def test_luci_home_moves_everything(tmp_path: Path) -> None:
    """The config and the models lie below it; it need not be there yet."""
    settings = load_settings({"LUCI_HOME": str(tmp_path / "new")})
    assert settings.file == tmp_path / "new" / "config.json"
    assert settings.models_dir == tmp_path / "new" / "models"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is not JSON"]),
        ("{", ["is not JSON"]),
        ("[" * 100_000, ["is not JSON"]),
        ("[]", ["a JSON object", "[]"]),
        ('{"models_dir": 1}', ["models_dir", "a path", "1"]),
        ('{"models_dir": ""}', ["models_dir", "a path", "''"]),
        ('{"models_dir": "a\\u0000b"}', ["models_dir", "a path", r"\x00"]),
        ('{"models_dir": "\\ud800"}', ["models_dir", r"\ud800"]),
        ('{"models_dir": "~no-such-user-at-all/m"}', ["models_dir", "leads nowhere"]),
        ('{"catalog": false}', ["catalog", "a path", "False"]),
        ('{"min_free": true}', ["min_free", "bytes", "True"]),
        ('{"min_free": -1}', ["min_free", "bytes", "-1"]),
        ('{"min_free": 1.5}', ["min_free", "bytes", "1.5"]),
        ('{"min_free": "much"}', ["min_free", "a size", "much"]),
        ('{"on_interrupt": "stop"}', ["on_interrupt", '"delete" or "keep"', "'stop'"]),
        ('{"on_interrupt": ["keep"]}', ["on_interrupt", '"delete" or "keep"']),
        ('{"folders": "/a"}', ["folders", "a list", "'/a'"]),
        ('{"folders": [1]}', ["folders", "a path", "1"]),
        ('{"backup_models_dir": []}', ["backup_models_dir", "a path", "[]"]),
        ('{"mirrors": "https://a.example"}', ["mirrors", "a list", "'https://a.example'"]),
        ('{"mirrors": ["a.example"]}', ["mirrors", "https://", "'a.example'"]),
        ('{"jobs": 0}', ["jobs", "a number from 1 to 16", "0"]),
        ('{"jobs": true}', ["jobs", "a number from 1 to 16", "True"]),
        ('{"connections": 17}', ["connections", '"auto" or a number from 1 to 16', "17"]),
        ('{"limit_rate": 0}', ["limit_rate", "at least one byte", "0"]),
        ('{"retries": -1}', ["retries", "a number from 0", "-1"]),
    ],
)
def test_a_broken_file_is_told_and_left_as_it_is(luci_home: Path, text: str, words: list[str]) -> None:
    """The message names the file, the key, what was expected and what was found."""
    file = luci_home / "config.json"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings({})
    assert str(file) in caught.value.message
    assert [word for word in words if word not in caught.value.message] == []
    assert caught.value.message.isprintable()
    assert file.read_text() == text


def test_a_file_that_cannot_be_read_is_told(luci_home: Path) -> None:
    """As trouble with the disk."""
    (luci_home / "config.json").mkdir()
    with pytest.raises(StorageError, match="cannot read"):
        load_settings({})


def test_a_folder_is_remembered_once_and_the_rest_is_kept(luci_home: Path, tmp_path: Path) -> None:
    """Keys that luci does not know survive."""
    file = write(luci_home, unknown={"a": [1]}, min_free="1G")
    for _ in range(2):
        remember_folder(load_settings({}), tmp_path / "models")
    assert json.loads(file.read_text()) == {
        "unknown": {"a": [1]},
        "min_free": "1G",
        "folders": [str(tmp_path / "models")],
    }
    assert load_settings({}).folders == (tmp_path / "models",)


def test_the_default_folder_needs_no_remembering(luci_home: Path) -> None:
    """No file is made for it."""
    remember_folder(load_settings({}), luci_home / "models")
    assert list(luci_home.iterdir()) == []


def test_remembering_makes_the_home_that_is_missing(tmp_path: Path) -> None:
    """The first --dir may come before anything else."""
    settings = load_settings({"LUCI_HOME": str(tmp_path / "new" / "home")})
    remember_folder(settings, tmp_path / "m")
    assert json.loads(settings.file.read_text()) == {"folders": [str(tmp_path / "m")]}


def test_what_the_user_wrote_stays_readable(luci_home: Path) -> None:
    """Letters are not turned into escapes, and a file that is a link stays one."""
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
    """It comes back byte for byte."""
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


def test_a_broken_file_is_not_overwritten(luci_home: Path) -> None:
    """What the user wrote there may be mended yet."""
    settings = load_settings({})
    file = luci_home / "config.json"
    file.write_text("{broken")
    with pytest.raises(UsageError, match="is not JSON"):
        remember_folder(settings, Path("/m"))
    assert file.read_text() == "{broken"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("20M", 20_000_000),
        ("20mb", 20_000_000),
        ("1.5G", 1_500_000_000),
        ("0.29G", 290_000_000),
        ("2 TB", 2_000_000_000_000),
        (" 1k ", 1000),
        ("1KiB", 1024),
        ("20MiB", 20 << 20),
        ("1Gi", 1 << 30),
        ("1.5GiB", 3 << 29),
    ],
)
def test_a_size_is_read_in_decimal_and_binary_units(text: str, size: int) -> None:
    """Case does not matter, and the B may be left out."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1e3", "1,5G", "1.", ".5G", "1 G B", "20Mbit", "1P", "١", "9" * 5000])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    """The message shows what a size looks like."""
    with pytest.raises(UsageError, match="expected a size such as 512, 20M"):
        parse_size(text)


@pytest.mark.parametrize("size", [0, 1, 512, 1000, 1024, 1536, 20_000_000, 1 << 30, 3 << 29, 2 * 10**12, 999_999_999])
def test_a_size_is_told_so_that_it_is_read_back_exactly(size: int) -> None:
    """In the largest unit that divides it."""
    assert parse_size(size_text(size)) == size
    assert size_text(1 << 30) == "1GiB"
    assert size_text(20_000_000) == "20M"
