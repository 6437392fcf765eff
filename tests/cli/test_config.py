"""`luci config`: the value of each setting and its origin, and changes that lose nothing."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from luci_dl.config.settings import KEYS
from tests.cli.shop import assert_refused
from tests.interrupting import held, patched
from tests.procs import Spawned, lock_is_free, luci


@pytest.fixture
def file(home: Path) -> Path:
    """The path of config.json, which does not exist yet."""
    home.mkdir()
    return home / "config.json"


def listed() -> dict[str, dict[str, object]]:
    """The output of `luci config list --json`, by name."""
    return {setting["name"]: setting for setting in json.loads(luci("config", "list", "--json").stdout)}


def test_without_a_file_every_setting_has_its_default(home: Path) -> None:
    """Looking changes nothing: not even the folder is created."""
    shown = luci("config", "list")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(f"{name} " in shown.stdout for name in KEYS)
    assert {setting["origin"] for setting in listed().values()} == {"default"}
    assert not home.exists()


def test_the_origin_of_a_value_is_shown(file: Path) -> None:
    """The environment overrides the file, which overrides the default."""
    file.write_text('{"models_dir": "/of/file", "catalog": "/of/file.toml", "mirrors": ["https://m.example"]}')
    shown = luci("config", "list", env={"LUCI_MODELS_DIR": "/of/env", "LUCI_MIRRORS": ""}).stdout
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    assert rows["models_dir"] == ["/of/env", "LUCI_MODELS_DIR"]
    assert rows["catalog"] == ["/of/file.toml", "config.json"]
    assert rows["mirrors"] == ["https://m.example", "config.json"]
    assert rows["jobs"] == ["1", "default"]


def test_unknown_keys_are_reported_and_kept(file: Path) -> None:
    """With the setting that was probably meant; the order of the keys is kept, too."""
    file.write_text('{"modles_dir": "/m", "jobs": 2, "mine": {"a": [1]}}')
    assert 'modles_dir         "/m"' in luci("config", "list").stdout
    assert "config.json (unknown; did you mean models_dir?)" in luci("config", "list").stdout
    assert listed()["mine"] == {
        "name": "mine",
        "value": {"a": [1]},
        "origin": "config.json",
        "purpose": None,
        "problem": None,
    }
    luci("config", "set", "jobs", "3")
    luci("config", "set", "retries", "0")
    assert (
        file.read_text()
        == json.dumps({"modles_dir": "/m", "jobs": 3, "mine": {"a": [1]}, "retries": 0}, indent=2) + "\n"
    )


@pytest.mark.parametrize(
    ("name", "values", "written"),
    [
        ("models_dir", ["models"], "{here}/models"),
        ("backup_models_dir", ["~/spare"], "{user}/spare"),
        ("folders", ["/a", "b", "/a"], ["/a", "{here}/b"]),
        ("mirrors", ["https://a.example", "http://b:8080/hub"], ["https://a.example", "http://b:8080/hub"]),
        ("lan", ["http://lab:8480"], ["http://lab:8480"]),
        ("swarm", ["on"], "on"),
        ("min_free", ["5G"], "5G"),
        ("min_free", ["0"], "0"),
        ("limit_rate", ["20MB/s"], "20M"),
        ("limit_rate", ["none"], "none"),
        ("limit_rate", ["9:00 - 17:00 = 2MB/s, 10M"], "09:00-17:00=2M,10M"),
        ("on_interrupt", ["keep"], "keep"),
        ("connections", ["4"], 4),
        ("connections", ["auto"], "auto"),
        ("jobs", ["16"], 16),
        ("retries", ["0"], 0),
    ],
)
def test_a_value_that_is_set_is_written_and_used(
    home: Path, tmp_path: Path, name: str, values: list[str], written: object
) -> None:
    """Relative paths start from the current folder, and the output of `get` can be set again."""
    done = luci("config", "set", name, *values, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = json.dumps({name: written}).replace("{here}", str(tmp_path)).replace("{user}", os.environ["HOME"])
    assert json.loads((home / "config.json").read_text()) == json.loads(text)
    got = luci("config", "get", name).stdout.splitlines()
    before = (home / "config.json").read_bytes()
    assert luci("config", "set", name, *got).returncode == 0
    assert (home / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "modelsdir", "/m"], "did you mean models_dir?"),
        (["set", "on-interupt", "keep"], "did you mean on_interrupt?"),
        (["set", "jobs", "many"], "expected a number from 1 to 16, found 'many'"),
        (["set", "jobs", "1", "2"], "takes one value, found 2"),
        (["set", "jobs"], "VALUE"),
        (["set", "connections", "17"], '"auto" or a number from 1 to 16'),
        (["set", "limit_rate", "0"], "at least one byte"),
        (["set", "limit_rate", "9-17=2M"], "expected two times of day such as 09:00-17:00, found '9-17'"),
        (["set", "limit_rate", "09:00-17:00=2M,16:59-18:00=1M"], "09:00-17:00 and 16:59-18:00 overlap"),
        (["set", "min_free", "much"], "expected a size"),
        (["set", "on_interrupt", "stop"], '"delete" or "keep"'),
        (["set", "models_dir", ""], "expected a path"),
        (["set", "models_dir", "{file}"], "expected a folder, found the file"),
        (["set", "folders", "/a", "{file}"], "expected a folder, found the file"),
        (["set", "catalog", "/no/such.toml"], "cannot read the catalog"),
        (["set", "catalog", "{file}"], "config.json"),
        (["set", "mirrors", "mirror.example"], "https://mirror.example"),
        (["set", "lan", "http://user:secret@lab:8480"], "without credentials"),
        (["set", "swarm", "yes"], 'expected "on" or "off"'),
        (["set", "lan", "https://huggingface.co"], "nothing would verify what it sends"),
        (["set", "mirrors", "https://user:secret@mirror.example"], "without credentials"),
        (["set", "mirrors", "https://mirror.example?x=1"], "without credentials and query"),
        (["get", "job"], "did you mean jobs?"),
        (["unset", "job"], "did you mean jobs?"),
        (["unset", "strnge"], "did you mean strange?"),
        (["unset", "jobs", "2"], "is not a list"),
        (["unset", "folders", "/b"], "It contains: /a"),
        (["change", "jobs", "2"], "No such command"),
    ],
)
def test_what_is_invalid_is_refused_before_anything_is_written(file: Path, words: list[str], said: str) -> None:
    """The message says what was expected and what was found."""
    file.write_text('{"folders": ["/a"], "strange": 1}')
    ended = luci("config", *(word.format(file=file) for word in words))
    assert_refused(ended, 2, said)
    assert file.read_text() == '{"folders": ["/a"], "strange": 1}'
    assert "secret" not in ended.stderr


def test_unset_restores_the_default(file: Path) -> None:
    """Also for unknown keys; unsetting what is not set changes nothing."""
    file.write_text('{"jobs": 2, "strange": 1, "retries": 3}')
    assert "jobs is now: 1 (default)" in luci("config", "unset", "jobs").stderr
    assert "strange was removed" in luci("config", "unset", "strange").stderr
    assert json.loads(file.read_text()) == {"retries": 3}
    before = file.stat().st_mtime_ns
    assert luci("config", "unset", "jobs").returncode == 0
    assert file.stat().st_mtime_ns == before


def test_one_folder_can_be_removed(file: Path) -> None:
    """`unset` removes the named items of a list."""
    file.write_text('{"folders": ["/a", "/b"]}')
    assert luci("config", "unset", "folders", "/a").returncode == 0
    assert json.loads(file.read_text()) == {"folders": ["/b"]}
    assert luci("config", "unset", "folders", "/b").returncode == 0
    assert json.loads(file.read_text()) == {}


def test_an_invalid_value_affects_no_other_and_can_be_corrected(file: Path) -> None:
    """`list` shows the value and what is wrong with it, and ends with exit code 2."""
    file.write_text('{"on_interrupt": "stop", "jobs": 2}')
    shown = luci("config", "list")
    assert shown.returncode == 2
    assert '"stop" config.json (invalid)' in " ".join(shown.stdout.split())
    assert 'expected "delete" or "keep", found \'stop\'' in shown.stderr
    assert listed()["jobs"]["value"] == 2
    assert "stop" in str(listed()["on_interrupt"]["problem"])
    assert luci("config", "get", "jobs").stdout == "2\n"
    assert_refused(luci("config", "get", "on_interrupt"), 2, '"delete" or "keep"')
    assert luci("config", "set", "on_interrupt", "keep").returncode == 0
    assert luci("list").returncode == 0


@pytest.mark.parametrize("words", [["list"], ["get", "jobs"], ["set", "jobs", "2"], ["unset", "jobs"]])
def test_a_file_that_is_not_json_is_reported_with_the_place_and_left_unchanged(file: Path, words: list[str]) -> None:
    """The user can still repair it."""
    file.write_text('{\n  "jobs": 2,\n}\n')
    assert_refused(luci("config", *words), 2, str(file), "line 3 column 1", "Correct the file")
    assert file.read_text() == '{\n  "jobs": 2,\n}\n'


def test_a_variable_that_overrides_what_was_set_is_reported(file: Path) -> None:
    """Otherwise the user would wonder why nothing changes."""
    ended = luci("config", "set", "models_dir", "/m", env={"LUCI_MODELS_DIR": "/of/env"})
    assert "models_dir is now: /of/env (LUCI_MODELS_DIR)" in ended.stderr
    assert "LUCI_MODELS_DIR is set in the environment and overrides config.json" in ended.stderr
    assert json.loads(file.read_text()) == {"models_dir": "/m"}


def test_processes_that_change_settings_at_once_lose_nothing(file: Path) -> None:
    """Each reads, changes and writes under one lock, which is free afterwards."""
    file.write_text('{"mine": 1}')
    pairs = [("jobs", "2"), ("retries", "3"), ("connections", "4"), ("min_free", "5")]
    with ThreadPoolExecutor(len(pairs)) as pool:
        ended = list(pool.map(lambda pair: luci("config", "set", *pair), pairs))
    assert [one.returncode for one in ended] == [0] * len(pairs)
    assert json.loads(file.read_text()) == {"mine": 1, "jobs": 2, "retries": 3, "connections": 4, "min_free": "5"}
    assert sorted(path.name for path in file.parent.iterdir()) == ["config.json", "config.json.lock"]
    assert lock_is_free(file.with_name("config.json.lock"))


SLOW_TO_DIE = """
from luci_dl.disk import lock
from luci_dl.ui.render_thread import RenderThread
file_lock, close = lock.file_lock, RenderThread.close
lock.file_lock = lambda path: (os.write(2, b"locking"), file_lock(path))[1]
RenderThread.close = lambda *args: (close(*args), time.sleep(0.5), os.write(2, b"ending"))
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_change_that_is_interrupted_writes_nothing(file: Path, signum: signal.Signals) -> None:
    """Not while it waits for the lock, and not when the lock becomes free between its last words and its end."""
    file.write_text('{"jobs": 2}')
    with Spawned("config", "set", "jobs", "3", command=patched(SLOW_TO_DIE)) as run:
        with held(file.with_name("config.json.lock")):
            run.wait_for("locking")
            run.signal(signum)
            run.wait_for("Change interrupted by user")
        assert run.wait() == -signum
        assert "ending" in run.err
    assert file.read_text() == '{"jobs": 2}'
    assert [path.name for path in file.parent.iterdir() if path != file] == ["config.json.lock"]


def test_programs_get_one_object(file: Path) -> None:
    """The setting after the change; sizes are in bytes."""
    shown = json.loads(luci("config", "set", "min_free", "1G", "--json").stdout)
    assert shown == {
        "name": "min_free",
        "value": 10**9,
        "origin": "config.json",
        "purpose": KEYS["min_free"].purpose,
        "problem": None,
    }
    assert json.loads(luci("config", "get", "min_free", "--json").stdout) == shown
    refused = luci("config", "set", "min_free", "much", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["event"]) == (2, "failed")


def test_an_option_of_install_overrides_the_file(file: Path) -> None:
    """The settings are the defaults of its options, so an invalid one is reported before anything is fetched."""
    file.write_text('{"retries": -1}')
    assert_refused(luci("install", "nothing"), 2, "retries", "a number from 0")
    assert_refused(luci("install", "nothing", "--retries", "-1"), 2, "--retries: expected a number from 0")
