from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from luci_dl.config.settings import KEYS, Settings, load_settings
from luci_dl.errors import StorageError, UsageError
from luci_dl.plan import Options
from luci_dl.rate_limit import RateLimit
from tests.config.files import write


def test_every_field_but_the_home_is_a_setting() -> None:
    """A setting that is not a key of config.json could not be changed."""
    assert ["home", *KEYS] == [field.name for field in dataclasses.fields(Settings)]
    assert [name for name, key in KEYS.items() if name != key.name] == []


def test_without_configuration_the_defaults_apply(luci_home: Path) -> None:
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
        http_hosts=["Hub.lan", "10.0.0.5:8080", "[fd00::1]:80"],
        connections=4,
        jobs=2,
        limit_rate="20M/s",
        retries=0,
        timeout=300,
    )
    settings = load_settings({})
    assert (settings.models_dir, settings.catalog) == (luci_home.parent / "m", luci_home / "my.toml")
    assert (settings.min_free, settings.on_interrupt) == (20_000_000, "keep")
    assert settings.folders == (Path("/a"), luci_home.parent / "b")
    assert (settings.backup_models_dir, settings.mirrors) == (Path("/spare"), ("https://a.example",))
    assert settings.http_hosts == ("hub.lan", "10.0.0.5:8080", "[fd00::1]:80")
    expected = Options(2, 4, RateLimit(20_000_000), 0, 300, keep_partial=True, min_free=20_000_000)
    assert settings.options == expected


def test_a_catalog_in_lucis_own_folder_needs_no_setting(luci_home: Path) -> None:
    """It is used once it exists; a configured one takes its place."""
    assert load_settings({}).own_catalog == luci_home / "catalog.toml"
    (luci_home / "catalog.toml").touch()
    assert load_settings({}).catalog == load_settings({}).own_catalog == luci_home / "catalog.toml"
    assert load_settings({"LUCI_CATALOG": "/my.toml"}).own_catalog == Path("/my.toml")


def test_a_null_counts_as_not_set_and_a_zero_as_zero(luci_home: Path) -> None:
    """No space has to stay free if the user does not want it."""
    write(luci_home, models_dir=None, min_free=0)
    assert load_settings({}).models_dir == luci_home / "models"
    assert load_settings({}).min_free == 0


def test_an_option_overrides_the_environment_which_overrides_the_file(
    luci_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path that the user typed starts from the current folder."""
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
    """It holds config.json and the models; it need not exist yet."""
    settings = load_settings({"LUCI_HOME": str(tmp_path / "new")})
    assert settings.file == tmp_path / "new" / "config.json"
    assert settings.models_dir == tmp_path / "new" / "models"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is not JSON"]),
        ("{", ["is not JSON"]),
        ("[" * 100_000, ["is not JSON"]),
        ("[]", ["a JSON object", "[]"]),
        ('{"models_dir": 1}', ["models_dir", "a path", "1"]),
        ('{"models_dir": ""}', ["models_dir", "a path", "''"]),
        ('{"models_dir": "a\\u0000b"}', ["models_dir", "a path", r"\x00"]),
        ('{"models_dir": "\\ud800"}', ["models_dir", r"\ud800"]),
        ('{"models_dir": "~no-such-user-at-all/m"}', ["models_dir", "cannot use the path"]),
        ('{"catalog": false}', ["catalog", "a path", "False"]),
        ('{"min_free": true}', ["min_free", "bytes", "True"]),
        ('{"min_free": -1}', ["min_free", "bytes", "-1"]),
        ('{"min_free": 1.5}', ["min_free", "bytes", "1.5"]),
        ('{"min_free": "much"}', ["min_free", "a size", "much"]),
        ('{"min_free": 1' + "0" * 400 + "}", ["min_free", "bytes", "1000"]),
        ('{"min_free": "9999999999999T"}', ["min_free", "a size up to 1000000T", "9999999999999T"]),
        ('{"models_dir": "https://user:pw@h/m"}', ["models_dir", "a path, found the address https://h/m"]),
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
        ('{"http_hosts": ["http://hub.lan"]}', ["http_hosts", "a host such as"]),
        ('{"http_hosts": "hub.lan"}', ["http_hosts", "a list of hosts"]),
        ('{"timeout": 0}', ["timeout", "auto", "0"]),
        ('{"limit_rate": 0}', ["limit_rate", "at least one byte", "0"]),
        ('{"retries": -1}', ["retries", "a number from 0", "-1"]),
    ],
)
def test_a_broken_file_is_reported_and_left_unchanged(luci_home: Path, text: str, parts: list[str]) -> None:
    """The message names the file, the key, what was expected and what was found."""
    file = luci_home / "config.json"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings({})
    assert str(file) in caught.value.message
    assert [part for part in parts if part not in caught.value.message] == []
    assert caught.value.message.isprintable()
    assert file.read_text() == text


@pytest.mark.parametrize("kind", ["folder", "loop", "home"])
def test_a_file_that_cannot_be_read_is_reported(luci_home: Path, kind: str) -> None:
    """It is a storage error, and the hint is not about models folders, nor about an owner alone."""
    file = luci_home / "config.json"
    if kind == "folder":
        file.mkdir()
    elif kind == "loop":
        file.symlink_to(file)
    else:
        luci_home.rmdir()
        luci_home.touch()
    with pytest.raises(StorageError, match="cannot read") as caught:
        load_settings({})
    assert "LUCI_HOME" in caught.value.hint
    assert "--dir" not in caught.value.hint


@pytest.mark.parametrize("value", ['"/x"', "'/x'", ' "/x" ', "“/x”"])
@pytest.mark.parametrize("name", ["LUCI_HOME", "LUCI_MODELS_DIR", "LUCI_CATALOG", "LUCI_MIRRORS"])
def test_a_variable_in_quotes_is_refused(luci_home: Path, name: str, value: str) -> None:
    """An env file keeps them, and a folder of that name would be made."""
    with pytest.raises(UsageError, match=f"{name} is in quotes") as caught:
        load_settings({name: value})
    assert "Remove them" in caught.value.hint


def test_a_path_in_quotes_is_refused_in_the_file_and_as_an_option(luci_home: Path) -> None:
    """As in a variable."""
    with pytest.raises(UsageError, match="--dir is in quotes"):
        load_settings({}, Path("'/x'"))
    write(luci_home, models_dir='"/x"')
    with pytest.raises(UsageError, match=r"config\.json, models_dir is in quotes"):
        load_settings({})


def test_a_blank_variable_counts_as_not_set_and_a_blank_path_is_refused(luci_home: Path) -> None:
    """Spaces and line ends around a value do not belong to it."""
    assert load_settings({"LUCI_HOME": " ", "LUCI_MODELS_DIR": "\t"}).models_dir == luci_home / "models"
    assert load_settings({"LUCI_MODELS_DIR": " /x\r"}).models_dir == Path("/x")
    write(luci_home, models_dir=" ")
    with pytest.raises(UsageError, match="models_dir: expected a path"):
        load_settings({})


def test_a_variable_at_the_beginning_of_a_path_is_replaced(luci_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell does it in config.json or an env file. Elsewhere a dollar is a dollar."""
    monkeypatch.setenv("DISK", "/media/usb")
    monkeypatch.delenv("NOWHERE", raising=False)
    write(luci_home, models_dir="$HOME/m", folders=["${DISK}/m", "/a$DISK/b"])
    settings = load_settings({"LUCI_CATALOG": "$DISK/c.toml"})
    assert settings.models_dir == luci_home.parent / "m"
    assert settings.folders == (Path("/media/usb/m"), Path("/a$DISK/b"))
    assert settings.catalog == Path("/media/usb/c.toml")
    with pytest.raises(UsageError, match=r"LUCI_MODELS_DIR: the variable at the beginning of \$NOWHERE/m is not set"):
        load_settings({"LUCI_MODELS_DIR": "$NOWHERE/m"})


def test_a_path_has_no_parents_in_it(luci_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same folder from everywhere, also if the way goes through a symlink."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    monkeypatch.chdir(tmp_path / "far")
    assert load_settings({}, Path("../m/")).models_dir == tmp_path / "m"
    assert load_settings({}, tmp_path / "link/../m").models_dir == tmp_path / "far" / "m"
    assert load_settings({}, tmp_path / "link/m").models_dir == tmp_path / "link" / "m"


def test_the_default_folder_is_looked_into_whatever_is_configured(luci_home: Path) -> None:
    """What was installed before models_dir was set is there."""
    write(luci_home, models_dir="/x")
    assert load_settings({}).every_folder == [Path("/x")]
    (luci_home / "models").mkdir()
    assert load_settings({}).every_folder == [Path("/x"), luci_home / "models"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_file_may_come_from_any_editor(luci_home: Path, encoding: str, newline: str) -> None:
    """With a byte order mark, in UTF-16, with other line ends."""
    text = newline.join(["{", '"models_dir": "/Modèles"', "}"])
    (luci_home / "config.json").write_bytes(text.encode(encoding))
    assert load_settings({}).models_dir == Path("/Modèles")


@pytest.mark.parametrize(
    ("folder", "encoding", "reason"),
    [
        ("/Modèles", "latin-1", "line 2 is not UTF-8: it has the byte 0xe8"),
        ("/models", "utf-16-le", "line 1 is not UTF-8: it has the byte 0x00"),
    ],
)
def test_another_encoding_of_the_file_is_named_with_its_line(
    luci_home: Path, folder: str, encoding: str, reason: str
) -> None:
    """And what to do about it."""
    (luci_home / "config.json").write_bytes(f'{{\n"models_dir": "{folder}"}}'.encode(encoding))
    with pytest.raises(UsageError, match=rf"cannot read .*config\.json: {reason}") as caught:
        load_settings({})
    assert "UTF-8" in caught.value.hint
